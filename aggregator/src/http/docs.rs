//! Documentation that the node serves by itself, since a hospital's network has no way out: the API's
//! description and its page, and a page for each kind of error.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Api;
use super::problem::{Kind, Problem, ProblemBody, kinds};

/// Described ones.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(description)).routes(routes!(error_page))
}

/// The page of the API, with all that it needs. It asks nobody else, not even a validator.
pub(super) fn pages() -> Router<Api> {
    let config = Config::new(["/openapi.json"]).validator_url("none");
    SwaggerUi::new("/docs").config(config).into()
}

/// The description of this API (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, body = Object)))]
async fn description() -> Response {
    static DESCRIPTION: LazyLock<String> = LazyLock::new(super::openapi_json);
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.as_str()).into_response()
}

/// What a kind of error means and what to do.
#[utoipa::path(get, path = "/docs/errors/{code}", tag = "documentation",
    params(("code" = String, Path, description = "The member `code` of an error.")),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
async fn error_page(Path(code): Path<String>) -> Result<Html<String>, Problem> {
    let kind = kinds::ALL.iter().find(|kind| kind.code == code);
    let kind = kind.ok_or_else(|| Problem::no_such("kind of error", clipped(&code)))?;
    Ok(Html(page(kind)))
}

fn page(kind: &Kind) -> String {
    let (title, text, code) = (escaped(kind.title), escaped(kind.page), escaped(kind.code));
    let others = kinds::ALL.iter().map(|other| {
        let (code, title) = (escaped(other.code), escaped(other.title));
        format!("<li><a href=\"/docs/errors/{code}\">{code}</a>: {title}</li>")
    });
    let others: String = others.collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1><p><code>{code}</code>, HTTP status {}</p><p>{text}</p>\
         <h2>All kinds of errors</h2><ul>{others}</ul></body></html>\n",
        kind.status
    )
}

/// For text between tags and in quoted attributes (HTML, section 13.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn clipped(text: &str) -> String {
    text.chars().take(80).collect()
}
