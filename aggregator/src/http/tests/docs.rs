//! The documentation that a node serves, and connections to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::fake::{client, fake};
use crate::http::problem::kinds;

const ROUTES: &[&str] = &[
    "delete /api/v1/cluster/members/{id}",
    "get /api/v1/cluster",
    "get /api/v1/cluster/members",
    "get /api/v1/devices",
    "get /api/v1/devices/{id}",
    "get /api/v1/devices/{id}/evidence",
    "get /api/v1/events",
    "get /api/v1/events/{id}",
    "get /api/v1/findings",
    "get /api/v1/findings/{id}",
    "get /api/v1/sensors",
    "get /api/v1/sensors/{id}",
    "get /api/v1/sensors/{id}/watermark",
    "get /api/v1/sites",
    "get /docs/errors/{code}",
    "get /livez",
    "get /metrics",
    "get /openapi.json",
    "get /readyz",
    "get /startupz",
    "get /version",
    "patch /api/v1/findings/{id}",
    "post /api/v1/cluster/init",
    "post /api/v1/cluster/members",
    "post /api/v1/cluster/members/{id}/promote",
    "post /api/v1/cluster/members/{id}/replace",
    "post /api/v1/cluster/snapshot",
    "post /api/v1/cluster/transfer-leader",
    "post /api/v1/sensors",
    "post /api/v1/sensors/{id}/revoke",
    "post /api/v1/sites",
];

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.insert(reference.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_description_lists_every_route_and_has_every_schema() {
    let description = client().fetch("/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    let mut routes: Vec<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    routes.sort();
    assert_eq!(routes, ROUTES);
    let mut wanted = BTreeSet::new();
    references(&description, &mut wanted);
    assert!(wanted.len() > 20, "{wanted:?}");
    for reference in wanted {
        let pointer = reference.trim_start_matches('#');
        assert!(description.pointer(pointer).is_some(), "{reference} is missing");
    }
}

#[tokio::test]
async fn every_described_parameter_is_known_and_no_other() {
    let client = client();
    let description = client.fetch("/openapi.json").await.json();
    for (path, item) in description["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let answer = client.fetch(&format!("{}?{name}=x", path.replace("{id}", "x"))).await;
            assert!(!answer.text.contains("unknown-parameter"), "{path} {name}: {}", answer.text);
        }
    }
}

#[test]
fn the_committed_description_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = crate::http::openapi_json();
    if std::env::var_os("WARDMESH_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == now, "the API changed: review it, then run with WARDMESH_WRITE_GOLDEN=1");
}

#[tokio::test]
async fn every_kind_of_error_has_a_page() {
    let client = client();
    let codes: BTreeSet<&str> = kinds::ALL.iter().map(|kind| kind.code).collect();
    assert_eq!(codes.len(), kinds::ALL.len(), "codes are unique");
    for kind in kinds::ALL {
        let answer = client.fetch(&format!("/docs/errors/{}", kind.code)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.text.contains(kind.code) && !answer.text.contains("  "), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_page_of_the_api_asks_nobody_else() {
    let client = client();
    let answer = client.fetch("/docs").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/docs/"));
    for file in ["", "swagger-initializer.js", "swagger-ui-bundle.js", "swagger-ui.css"] {
        let answer = client.fetch(&format!("/docs/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        if file.len() < 30 && !file.contains("bundle") && !file.ends_with("css") {
            assert!(!answer.text.contains("https://"), "{file}: {}", answer.text);
            assert!(!answer.text.contains("<script>"), "{file}: {}", answer.text);
        }
    }
    let start = client.fetch("/docs/swagger-initializer.js").await.text;
    assert!(start.contains("/openapi.json") && start.contains("none"), "{start}");
}

#[tokio::test]
async fn connections_are_served_and_ended_in_order() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = crate::http::router(Arc::new(fake()));
    let served = tokio::spawn(crate::http::serve(listener, router, async {
        let _ = stopped.await;
    }));
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET /api/v1/sites HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut text = vec![0; 4_096];
    let length = kept.read(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let mut idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    let end = tokio::time::timeout(std::time::Duration::from_secs(5), served);
    end.await.expect("idle connections do not hold the end").unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or_default(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
