//! Renders pages: templates with every value escaped, and headers that let nothing else in.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Environment, Error, Value, context};
use rand::Rng;
use serde::Serialize;
use std::sync::LazyLock;

const STYLE: &str = include_str!("../../templates/inbox.css");

static TEMPLATES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    // Names end in .html, for which values are escaped by default.
    templates.add_template("layout.html", include_str!("../../templates/layout.html"))?;
    templates.add_template("list.html", include_str!("../../templates/list.html"))?;
    templates.add_template("message.html", include_str!("../../templates/message.html"))?;
    templates.add_template("not-found.html", include_str!("../../templates/not-found.html"))?;
    Ok(templates)
});

/// Renders a template with `view`.
pub(super) fn render(status: StatusCode, template: &str, view: &impl Serialize) -> Response {
    let nonce = format!("{:032x}", rand::rng().random::<u128>());
    match page(template, &nonce, view) {
        Ok(html) => {
            let mut response = (status, html).into_response();
            guard(&mut response, &nonce);
            response
        }
        Err(error) => {
            tracing::error!(template, line = error.line(), "page not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn page(template: &str, nonce: &str, view: &impl Serialize) -> Result<String, Error> {
    let templates = TEMPLATES.as_ref().map_err(|error| {
        Error::new(error.kind(), error.detail().unwrap_or("template does not compile").to_owned())
    })?;
    let style = Value::from_safe_string(STYLE.to_owned());
    templates.get_template(template)?.render(context! { nonce, style, view => Value::from(Serde(view)) })
}

/// Only the page's own style sheet, no script, forms to ourselves only.
fn guard(response: &mut Response, nonce: &str) {
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}
