//! What each route answers with.

use serde_json::{Value, json};

use super::fake::{Client, client, fake};
use crate::state::testkit::sensor;

const HOSTILE: &str = "<script>alert(\"1\")</script>";

fn data(body: &Value) -> &Vec<Value> {
    body["data"].as_array().unwrap()
}

#[tokio::test]
async fn sites_say_how_they_are_watched() {
    let answer = client().fetch("/api/v1/sites").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let sites: Vec<_> = data(&body).iter().map(|site| (&site["id"], &site["health"])).collect();
    assert_eq!(sites, [(&json!("north"), &json!("ok")), (&json!("south"), &json!("ok"))]);
    assert_eq!(body["data"][0]["devices"], 6);
    assert_eq!(body["page"], json!({"next": null, "limit": 100}));
    assert_eq!(body["meta"]["consistency"], "leader");
    assert_eq!(body["meta"]["staleness_ms"], 420);
    assert_eq!(body["meta"]["partial_sites"], json!([]));
    assert_eq!(body["meta"]["as_of"], "2026-01-06T08:00:00.000Z");
    assert_eq!(answer.header("wardmesh-applied-index"), body["meta"]["applied_index"].to_string());
    assert_eq!(answer.header("wardmesh-leader"), "2");
    assert_eq!(answer.header("wardmesh-last-contact-ms"), "420");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_site_without_a_sensor_is_named_as_missing() {
    let client = client();
    client.post("/api/v1/sites", r#"{"site":"west","title":"West"}"#).await;
    let body = client.fetch("/api/v1/devices?consistency=local").await.json();
    assert_eq!(body["meta"]["partial_sites"], json!(["west"]));
    assert_eq!(body["meta"]["consistency"], "local");
}

/// Without a leader the clock of the state stands still: what was healthy then is unknown now.
#[tokio::test]
async fn old_state_does_not_look_healthy() {
    use std::time::Duration;

    let minutes = |count: u64| Some(Duration::from_secs(count * 60));
    for (last_contact, health, state) in [
        (minutes(4), "ok", "online"),
        (minutes(8), "unknown", "unknown"),
        (None, "unknown", "unknown"),
    ] {
        let mut node = fake();
        (node.leaderless, node.last_contact) = (true, last_contact);
        let (client, _) = Client::of(node);
        let sites = client.fetch("/api/v1/sites?consistency=local").await.json();
        assert!(data(&sites).iter().all(|site| site["health"] == health), "{sites}");
        let partial = if health == "ok" { json!([]) } else { json!(["north", "south"]) };
        for path in ["sites", "sensors", "devices", "findings", "events"] {
            let body = client.fetch(&format!("/api/v1/{path}?consistency=local")).await.json();
            assert_eq!(body["meta"]["partial_sites"], partial, "{path} {last_contact:?}");
        }
        let query = format!("/api/v1/sensors?consistency=local&state={state}");
        let sensors = client.fetch(&query).await.json();
        assert_eq!(data(&sensors).len(), 2, "{last_contact:?}");
        assert!(data(&sensors).iter().all(|sensor| sensor["state"] == state), "{sensors}");
        let path = format!("/api/v1/sensors/{}?consistency=local", sensor(1));
        assert_eq!(client.fetch(&path).await.json()["state"], state);
    }
}

#[tokio::test]
async fn sensors_and_their_watermarks() {
    let client = client();
    let body = client.fetch("/api/v1/sensors?site=north&state=online").await.json();
    assert_eq!(data(&body).len(), 1);
    let id = sensor(1).to_string();
    assert_eq!(body["data"][0]["id"], id.as_str());
    assert_eq!(body["data"][0]["batches"], 6);
    let one = client.fetch(&format!("/api/v1/sensors/{id}")).await.json();
    assert_eq!(one, body["data"][0]);
    let marks = client.fetch(&format!("/api/v1/sensors/{id}/watermark")).await.json();
    let marks = data(&marks);
    assert_eq!(marks.len(), 2);
    assert_eq!((&marks[0]["lane"], &marks[0]["contiguous_seq"]), (&json!("urgent"), &json!(0)));
    assert_eq!((&marks[1]["lane"], &marks[1]["contiguous_seq"]), (&json!("bulk"), &json!(6)));
    assert_eq!(marks[1]["epoch"], "0000000000000001");
    assert_eq!(marks[1]["chain"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn devices_by_each_filter() {
    let client = client();
    let cases = [
        ("", 6),
        ("?site=north", 6),
        ("?site=south", 1),
        ("?site=south&site=north", 6),
        ("?mac=00:09:fb:00:00:02", 1),
        ("?mac=00-09-FB-00-00-02&mac=0009fb000003&mac=0009fb000003", 2),
        ("?mac=00:09:fb:00:00:02&site=south", 0),
        ("?ip=10.0.0.3&ip=10.0.0.4", 2),
        ("?ip=10.0.0.99", 0),
        ("?class=no-such-class", 0),
        ("?vendor=nobody", 0),
        ("?seen_since=2026-01-05T08:00:05Z", 3),
        ("?seen_since=2026-01-05T10:00:05%2B02:00", 3),
        ("?seen_since=2026-01-05T10:00:05+02:00", 3),
        ("?seen_since=-7d", 6),
        ("?seen_since=-1h", 0),
    ];
    for (query, count) in cases {
        let answer = client.fetch(&format!("/api/v1/devices{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        assert_eq!(data(&answer.json()).len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_device_and_its_evidence_with_hostile_text_escaped() {
    let client = client();
    let row = client.fetch("/api/v1/devices?mac=00:09:fb:00:00:01").await;
    assert!(row.text.contains(r#""<script>alert(\"1\")</script>""#), "{}", row.text);
    assert_eq!(row.header("content-type"), "application/json");
    assert_eq!(row.header("x-content-type-options"), "nosniff");
    let row = &row.json()["data"][0];
    assert_eq!(row["hostnames"], json!([HOSTILE]));
    assert_eq!(row["sites"], json!(["north", "south"]));
    assert_eq!(row["macs"], json!(["00:09:fb:00:00:01"]));
    assert_eq!(row["class"], Value::Null);
    let id = row["id"].as_str().unwrap();
    let one = client.fetch(&format!("/api/v1/devices/{id}")).await.json();
    assert_eq!(one["id"], row["id"]);
    assert_eq!(one["presence"].as_array().unwrap().len(), 2);
    assert_eq!(one["first_seen"], "2026-01-05T08:00:01.000Z");
    let evidence = client.fetch(&format!("/api/v1/devices/{id}/evidence")).await.json();
    let hostname = data(&evidence).iter().find(|known| known["field"] == "hostname").unwrap();
    assert_eq!(hostname["value"], HOSTILE);
    assert_eq!(hostname["source"], "dhcp.hostname");
    assert_eq!(hostname["weight"], 600);
    assert_eq!(hostname["sensor"], sensor(1).to_string());
}

#[tokio::test]
async fn an_event_has_its_members_and_no_others() {
    let body = client().fetch(&format!("/api/v1/events?sensor={}", sensor(1))).await.json();
    assert_eq!(data(&body).len(), 6);
    let event = &body["data"][0];
    let members: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members.join(","),
        "id,site,sensor,epoch,lane,seq,position,observed_at,received_at,index,kind,device,peer,\
         service,attributes,counters"
    );
    assert_eq!(event["observed_at"], "2026-01-05T08:00:01.000000000Z");
    assert_eq!(event["received_at"], "2026-01-06T08:00:00.000Z");
    assert_eq!(event["epoch"], "0000000000000001");
    assert_eq!(event["id"], format!("evt_{}-0-0", event["index"]));
    assert_eq!(
        event["device"],
        json!({"mac": "00:09:fb:00:00:01", "ip": "10.0.0.1", "vlan": null})
    );
    assert_eq!(event["attributes"], json!({"dhcp.hostname": HOSTILE}));
    assert_eq!(event["counters"], json!({"packets": 3}));
    assert_eq!(body["meta"]["history_from"], 1);
    let path = format!("/api/v1/events/{}", event["id"].as_str().unwrap());
    let one = client().fetch(&path).await;
    assert_eq!(one.json(), *event);
    assert_ne!(one.header("wardmesh-applied-index"), "");
}

#[tokio::test]
async fn only_a_scan_of_the_whole_fleet_has_a_default_time() {
    let (client, fake) = Client::of(fake());
    let by_sensor = format!("sensor={}", sensor(1));
    let cases = [
        ("", Some("2026-01-05T08:00:00.000Z")),
        ("site=north", Some("2026-01-05T08:00:00.000Z")),
        ("until=2026-01-03T00:00:00Z", Some("2026-01-02T00:00:00.000Z")),
        ("since=-1h", Some("2026-01-06T07:00:00.000Z")),
        (&by_sensor, None),
        ("device=dev_01JGZ8K3M5N7P9Q1R3S5T7V9WX", None),
    ];
    for (query, since) in cases {
        let body = client.fetch(&format!("/api/v1/events?{query}")).await.json();
        assert_eq!(body["meta"]["since"].as_str(), since, "{query}");
        let asked = fake.asked.lock().pop().unwrap();
        assert_eq!(asked.since.map(|at| at.to_rfc3339_millis()).as_deref(), since, "{query}");
    }
}

#[tokio::test]
async fn findings_name_their_sites_and_events() {
    let client = client();
    let body = client.fetch("/api/v1/findings").await.json();
    let finding = &data(&body)[0];
    assert_eq!(finding["sites"], json!(["north", "south"]), "{finding}");
    assert!(finding["evidence"][0].as_str().unwrap().ends_with("-0-0"));
    let id = finding["id"].as_str().unwrap();
    assert_eq!(client.fetch(&format!("/api/v1/findings/{id}")).await.json(), *finding);
    let evidence = finding["evidence"][0].as_str().unwrap();
    let event = client.fetch(&format!("/api/v1/events/{evidence}")).await;
    assert_eq!((event.status, &event.json()["id"]), (200, &finding["evidence"][0]));
    let rule = finding["rule"].as_str().unwrap();
    for (query, count) in
        [(format!("rule={rule}"), 1), ("site=west".into(), 0), ("status=open".into(), 1)]
    {
        let body = client.fetch(&format!("/api/v1/findings?{query}")).await.json();
        assert_eq!(data(&body).len(), count, "{query}");
    }
}

#[tokio::test]
async fn the_cluster_and_its_digest() {
    let (client, fake) = Client::of(fake());
    let digest = fake.state.lock().digest();
    let value = format!("{:016x}", digest.value);
    let whole = client.fetch("/api/v1/cluster").await.json();
    assert_eq!(whole["digest"], json!({"index": digest.index, "value": value}));
    assert_eq!(whole["members"].as_array().unwrap().len(), 3);
    assert_eq!(whole["cluster"], "09090909-0909-0909-0909-090909090909");
    assert_eq!(whole["committed"], whole["applied"]);
    for wanted in [digest.index.to_string(), "latest".to_owned()] {
        let body = client.fetch(&format!("/api/v1/cluster?digest_at={wanted}")).await.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["node_id", "leader", "term", "applied", "digest"]);
        assert_eq!(body["digest"], whole["digest"]);
    }
    let earlier = client.fetch("/api/v1/cluster?digest_at=1").await.json();
    assert_eq!(earlier["digest"]["index"], 1);
    let members = client.fetch("/api/v1/cluster/members").await.json();
    let leader = &data(&members)[1];
    assert_eq!((&leader["role"], &leader["lag"]), (&json!("leader"), &json!(1)));
    assert_eq!((&leader["id"], &leader["http_address"]), (&json!(2), &json!("127.0.0.1:8445")));
}

#[tokio::test]
async fn the_cluster_answers_without_a_leader() {
    let mut node = fake();
    node.leaderless = true;
    let (client, _) = Client::of(node);
    assert_eq!(client.fetch("/api/v1/cluster").await.status, 200);
    assert_eq!(client.fetch("/api/v1/cluster/members").await.status, 200);
    client.fetch("/api/v1/cluster?consistency=leader").await.is_problem(503, "no-leader");
}

#[tokio::test]
async fn probes() {
    let (client, _) = Client::of(fake());
    assert_eq!(client.fetch("/livez").await.text, "ok\n");
    assert_eq!(client.fetch("/startupz").await.text, "ok\n");
    assert_eq!(client.fetch("/readyz").await.text, "ok\n");
    let verbose = client.fetch("/readyz?verbose").await;
    assert_eq!(verbose.text, "[+]raft ok\n[+]caught-up ok at 7 of 9\nok\n");
    assert!(client.fetch("/metrics").await.text.ends_with("# EOF\n"));
    assert_eq!(client.fetch("/version").await.json()["api"], "v1");
    let mut node = fake();
    node.ready = false;
    let (client, _) = Client::of(node);
    let answer = client.fetch("/readyz").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (503, "[-]caught-up not ok at 7 of 9\nnot ready\n")
    );
    assert_eq!(client.fetch("/livez").await.status, 200);
}
