//! HTTP/1.1 in the clear (RFC 9112): a pump reports to its server, a PC reads a page.

use super::hospital::{Device, Host};
use super::patient;
use super::tcp::{End, Tcp};
use super::wire::Script;

/// The TCP port of HTTP.
pub(super) const PORT: u16 = 80;

/// A pump posts its state; the patient's number in path and body is bait for privacy tests.
pub(super) fn report(script: &mut Script<'_>, pump: &Device, server: &Device, host: &str) {
    let profile = pump.profile();
    let rate = script.rng.between(20, 250);
    let serial = pump.serial();
    let patient = patient::NUMBER;
    let body = format!(
        r#"{{"serial":"{serial}","state":"infusing","rate_ml_h":{rate},"patient":"{patient}"}}"#
    );
    let request = format!(
        "POST /pump/v1/status?patient={patient} HTTP/1.1\r\nHost: {host}\r\n\
         User-Agent: {}/{} ({serial})\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        profile.model.replace(' ', ""),
        profile.version,
        body.len(),
    );
    let answer = response("FluxServer/7.1.0", "application/json", "{\"next_s\":20}");
    exchange(script, pump, &server.host, &request, &answer);
}

/// A PC reads a page of a printer or of the intranet.
pub(super) fn read(script: &mut Script<'_>, pc: &Device, server: &Device, host: &str) {
    let patient = patient::NUMBER;
    let request = format!(
        "GET /status?patient={patient} HTTP/1.1\r\nHost: {host}\r\n\
         User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) DeskBrowser/131.0\r\n\
         Accept: text/html\r\nConnection: close\r\n\r\n"
    );
    let profile = server.profile();
    let body = format!("<html><title>{}</title><p>{patient}</p></html>", profile.model);
    let software = format!("{}/{}", profile.model.replace(' ', ""), profile.version);
    exchange(script, pc, &server.host, &request, &response(&software, "text/html", &body));
}

fn response(software: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nServer: {software}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn exchange(script: &mut Script<'_>, from: &Device, to: &Host, request: &str, answer: &str) {
    let port = script.port(from);
    let mut tcp = Tcp::open(script, (&from.host, port), (to, PORT));
    tcp.say(End::Client, request.as_bytes());
    tcp.script.wait(800, 6_000);
    tcp.say(End::Server, answer.as_bytes());
    tcp.close();
}
