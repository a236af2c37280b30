//! Lists by cursor: complete, each item once, and only with the filters of the first page.

use serde_json::Value;

use super::fake::{Client, client, fake};
use crate::state::testkit::sensor;

async fn walk(client: &Client, path: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..100 {
        let sign = if path.contains('?') { '&' } else { '?' };
        let at = cursor.as_ref().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let answer = client.fetch(&format!("/api/v1{path}{sign}limit={limit}{at}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        let page = body["data"].as_array().unwrap();
        assert!(page.len() <= limit);
        ids.extend(page.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = body["page"]["next"].as_str().map(str::to_owned);
        let Some(next) = &cursor else {
            assert_eq!(answer.header("link"), "");
            return ids;
        };
        let link = answer.header("link");
        assert!(
            link.starts_with(&format!("</api/v1{path}{sign}limit={limit}&cursor={next}>")),
            "{link}"
        );
        assert!(link.ends_with("; rel=\"next\""), "{link}");
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn every_list_is_complete_and_names_each_item_once() {
    let client = client();
    let by_sensor = format!("/events?sensor={}", sensor(1));
    let lists = [
        ("/sites", 2),
        ("/sensors", 2),
        ("/devices", 6),
        ("/devices?site=south&site=north", 6),
        ("/devices?mac=0009fb000001&mac=0009fb000004&mac=0009fb000002", 3),
        ("/devices?site=south", 1),
        ("/devices?seen_since=-86397s", 5),
        ("/findings", 1),
        (&by_sensor, 6),
    ];
    for (path, count) in lists {
        let whole = walk(&client, path, 1_000).await;
        assert_eq!(whole.len(), count, "{path}");
        for limit in 1..=4 {
            assert_eq!(walk(&client, path, limit).await, whole, "{path} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_device_that_is_found_meanwhile_disturbs_no_page() {
    let (client, fake) = Client::of(fake());
    let first = client.fetch("/api/v1/devices?limit=4").await.json();
    let cursor = first["page"]["next"].as_str().unwrap();
    let mut fleet = crate::state::testkit::Fleet {
        state: fake.state.lock().clone(),
        now: crate::state::testkit::at(86_401),
    };
    fleet.open(1, 99, &[]);
    let mut feed = crate::state::testkit::Feed::new(sensor(1), 99);
    fleet.hear(&mut feed, &[crate::state::testkit::sighting("00:09:fb:00:00:77", 10)]);
    *fake.state.lock() = fleet.state;
    let second = client.fetch(&format!("/api/v1/devices?limit=4&cursor={cursor}")).await.json();
    assert_eq!(second["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_relative_time_means_the_same_on_every_page() {
    let (client, fake) = Client::of(fake());
    let first = client.fetch("/api/v1/events?limit=2").await.json();
    let since = first["meta"]["since"].clone();
    let mut fleet = crate::state::testkit::Fleet {
        state: fake.state.lock().clone(),
        now: crate::state::testkit::at(90_000),
    };
    fleet.apply(crate::state::command::Action::Tick);
    *fake.state.lock() = fleet.state;
    let cursor = first["page"]["next"].as_str().unwrap();
    let second = client.fetch(&format!("/api/v1/events?limit=2&cursor={cursor}")).await.json();
    assert_eq!(second["meta"]["since"], since);
    assert_ne!(second["meta"]["as_of"], first["meta"]["as_of"]);
}

#[tokio::test]
async fn a_cursor_holds_for_its_list_and_filters_only() {
    let client = client();
    let body = client.fetch("/api/v1/devices?site=north&limit=2").await.json();
    let cursor = body["page"]["next"].as_str().unwrap();
    let other = |path: String| {
        let client = client.clone();
        async move { client.fetch(&path).await }
    };
    for path in
        ["/devices?site=south", "/devices?", "/devices?site=north&class=ct", "/sites?", "/events?"]
    {
        let path = format!("/api/v1{path}&cursor={cursor}");
        other(path).await.is_problem(400, "cursor-mismatch");
    }
    let same =
        other(format!("/api/v1/devices?limit=3&site=north&consistency=local&cursor={cursor}"));
    assert_eq!(same.await.status, 200);
    for cursor in ["", "c_", "c_00", "nonsense", &format!("{cursor}0"), &cursor[..cursor.len() - 2]]
    {
        let answer = client.fetch(&format!("/api/v1/devices?site=north&cursor={cursor}")).await;
        let body: Value = answer.is_problem(400, "invalid-cursor");
        assert_eq!(body["errors"][0]["pointer"], "cursor");
    }
}

#[tokio::test]
async fn after_goes_on_behind_an_event() {
    let client = client();
    let path = format!("/api/v1/events?sensor={}", sensor(1));
    let all = client.fetch(&path).await.json();
    let third = all["data"][2]["id"].as_str().unwrap();
    let rest = client.fetch(&format!("{path}&after={third}")).await.json();
    assert_eq!(rest["data"][0], all["data"][3]);
    assert_eq!(rest["data"].as_array().unwrap().len(), 3);
}
