//! The document as a page for people: plain HTML with its style inside, no
//! script and nothing from elsewhere, so it works offline, from the keyboard
//! and in a screen reader. Knows the document only, no route and no type.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = include_str!("page.css");
/// Bounds of what a number of 32 bits can be.
const WIDEST: [f32; 2] = [f32::MIN, f32::MAX];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One operation of the document.
struct Shown<'a> {
    path: &'a str,
    method: &'static str,
    servers: &'a Value,
    operation: &'a Value,
}

/// The page of `document`.
pub(super) fn render(document: &Value) -> String {
    let title =
        format!("{} API {}", text(document, "/info/title"), text(document, "/info/version"));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n",
        escaped(&title)
    );
    navigation(document, &mut out);
    push(
        &mut out,
        format_args!("<main id=\"main\" tabindex=\"-1\">\n<h1>{}</h1>\n", escaped(&title)),
    );
    for paragraph in text(document, "/info/description").split("\n\n") {
        push(&mut out, format_args!("<p>{}</p>\n", prose(paragraph)));
    }
    out.push_str("<p>For programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\n");
    for tag in array(document, "/tags") {
        let name = text(tag, "/name");
        push(
            &mut out,
            format_args!(
                "<h2 id=\"tag-{}\">{}</h2>\n<p>{}</p>\n",
                slug(name),
                escaped(name),
                prose(text(tag, "/description"))
            ),
        );
        for shown in operations(document).filter(|shown| has_tag(shown.operation, name)) {
            operation(document, &shown, &mut out);
        }
    }
    out.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in fields(document, "/components/schemas") {
        component(name, schema, &mut out);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn navigation(document: &Value, out: &mut String) {
    out.push_str("<nav aria-label=\"Operations\">\n");
    for tag in array(document, "/tags") {
        let name = text(tag, "/name");
        let link = format_args!("<a href=\"#tag-{}\">{}</a>\n<ul>\n", slug(name), escaped(name));
        push(out, link);
        for shown in operations(document).filter(|shown| has_tag(shown.operation, name)) {
            push(
                out,
                format_args!(
                    "<li><a href=\"#{}\">{}</a></li>\n",
                    escaped(text(shown.operation, "/operationId")),
                    escaped(text(shown.operation, "/summary")),
                ),
            );
        }
        out.push_str("</ul>\n");
    }
    out.push_str("<a href=\"#schemas\">Schemas</a>\n</nav>\n");
}

fn operation(document: &Value, shown: &Shown<'_>, out: &mut String) {
    let found = shown.operation;
    push(
        out,
        format_args!(
            "<section aria-labelledby=\"{id}\">\n<h3 id=\"{id}\">{summary}</h3>\n\
             <p class=\"path\"><b class=\"{method}\">{upper}</b> <code>{path}</code></p>\n",
            id = escaped(text(found, "/operationId")),
            summary = escaped(text(found, "/summary")),
            method = shown.method,
            upper = shown.method.to_uppercase(),
            path = escaped(shown.path),
        ),
    );
    let about = text(found, "/description");
    if !about.is_empty() {
        push(out, format_args!("<p>{}</p>\n", prose(about)));
    }
    let planes: Vec<&str> = array(shown.servers, "").iter().map(plane).collect();
    let key = match array(found, "/security").is_empty() && found.get("security").is_some() {
        true => "No key is needed.",
        false => "Needs the key.",
    };
    push(out, format_args!("<p>On the {}. {key}</p>\n", planes.join(" and the ")));
    parameters(document, found, out);
    if let Some(body) = found.pointer("/requestBody") {
        let must = if body["required"] == true { "" } else { " (may be absent)" };
        let schema = &body["content"]["application/json"]["schema"];
        push(out, format_args!("<h4>Body</h4>\n<p>{}{must}</p>\n", kind(schema)));
    }
    answers(document, found, out);
    out.push_str("</section>\n");
}

/// What a server is: the data plane's address is the caller's to fill in.
fn plane(server: &Value) -> &'static str {
    match server.get("variables") {
        Some(_) => "data plane",
        None => "control plane",
    }
}

fn parameters(document: &Value, found: &Value, out: &mut String) {
    let given = array(found, "/parameters");
    if given.is_empty() {
        return;
    }
    out.push_str(
        "<h4>Parameters</h4>\n<table>\n<thead><tr><th scope=\"col\">Name</th>\
         <th scope=\"col\">In</th><th scope=\"col\">Type</th><th scope=\"col\">About</th></tr>\
         </thead>\n<tbody>\n",
    );
    for parameter in given {
        let parameter = resolved(document, parameter);
        let must = if parameter["required"] == true { ", required" } else { "" };
        push(
            out,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}{must}</td><td>{}</td>\
                 <td>{}</td></tr>\n",
                escaped(text(parameter, "/name")),
                escaped(text(parameter, "/in")),
                kind(&parameter["schema"]),
                prose(text(parameter, "/description")),
            ),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn answers(document: &Value, found: &Value, out: &mut String) {
    out.push_str(
        "<h4>Answers</h4>\n<table>\n<thead><tr><th scope=\"col\">Status</th>\
         <th scope=\"col\">Body</th><th scope=\"col\">About</th></tr></thead>\n<tbody>\n",
    );
    for (status, answer) in fields(found, "/responses") {
        let answer = resolved(document, answer);
        let body = match fields(answer, "/content").next() {
            Some((form, content)) => format!("{} {}", kind(&content["schema"]), escaped(form)),
            None => "none".to_owned(),
        };
        push(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{body}</td><td>{}</td></tr>\n",
                escaped(status),
                prose(text(answer, "/description")),
            ),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn component(name: &str, schema: &Value, out: &mut String) {
    push(
        out,
        format_args!(
            "<section aria-labelledby=\"schema-{0}\">\n<h3 id=\"schema-{0}\">{0}</h3>\n<p>{1}</p>\n",
            escaped(name),
            prose(text(schema, "/description"))
        ),
    );
    if schema.get("properties").is_none() {
        push(out, format_args!("<p>{}</p>\n</section>\n", kind(schema)));
        return;
    }
    out.push_str(
        "<table>\n<thead><tr><th scope=\"col\">Field</th><th scope=\"col\">Type</th>\
         <th scope=\"col\">About</th></tr></thead>\n<tbody>\n",
    );
    for (field, inner) in fields(schema, "/properties") {
        let must = array(schema, "/required").iter().any(|name| name == field);
        push(
            out,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}{}</td><td>{}</td></tr>\n",
                escaped(field),
                kind(inner),
                if must { ", required" } else { "" },
                prose(text(inner, "/description")),
            ),
        );
    }
    out.push_str("</tbody>\n</table>\n");
    for (pattern, inner) in fields(schema, "/patternProperties") {
        let (pattern, inner) = (escaped(pattern), kind(inner));
        push(out, format_args!("<p>Fields named like <code>{pattern}</code>: {inner}.</p>\n"));
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => out.push_str("<p>Other fields are refused.</p>\n"),
        Some(others @ Value::Object(_)) => {
            push(out, format_args!("<p>Every other field: {}.</p>\n", kind(others)));
        }
        _ => {}
    }
    for example in array(schema, "/examples") {
        let text = escaped(&format!("{example:#}"));
        push(out, format_args!("<pre tabindex=\"0\">{text}</pre>\n"));
    }
    out.push_str("</section>\n");
}

/// What a schema allows, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[key].as_array() {
            return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    let mut words = match &schema["type"] {
        Value::String(name) => escaped(name),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(escaped).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    };
    if schema.get("items").is_some() {
        push(&mut words, format_args!(" of {}", kind(&schema["items"])));
    }
    if schema.get("additionalProperties").is_some_and(Value::is_object) {
        push(&mut words, format_args!(" of {}", kind(&schema["additionalProperties"])));
    }
    if let Some(all) = schema["enum"].as_array() {
        let all: Vec<String> =
            all.iter().map(|word| format!("<code>{}</code>", escaped(&word.to_string()))).collect();
        push(&mut words, format_args!(": {}", all.join(", ")));
    }
    for (key, about) in [
        ("minimum", "from"),
        ("maximum", "to"),
        ("minLength", "characters from"),
        ("maxLength", "characters to"),
        ("minItems", "items from"),
        ("maxItems", "items to"),
        ("maxProperties", "fields to"),
        ("pattern", "pattern"),
        ("default", "default"),
    ] {
        // All that a number of 32 bits can be is no bound.
        let is_bound = |bound: &&Value| !WIDEST.map(Value::from).contains(bound);
        if let Some(bound) = schema.get(key).filter(is_bound) {
            let bound = escaped(&bound.as_str().map_or(bound.to_string(), str::to_owned));
            push(&mut words, format_args!(", {about} <code>{bound}</code>"));
        }
    }
    if array(schema, "/type").iter().any(|name| name == "null") {
        words.push_str(" or null");
    }
    words
}

fn operations(document: &Value) -> impl Iterator<Item = Shown<'_>> {
    fields(document, "/paths").flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| {
            let operation = item.get(method)?;
            Some(Shown { path, method, servers: &item["servers"], operation })
        })
    })
}

fn has_tag(operation: &Value, tag: &str) -> bool {
    array(operation, "/tags").iter().any(|name| name == tag)
}

/// What `part` is, or what it refers to.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let target = part["$ref"].as_str().and_then(|target| document.pointer(target.get(1..)?));
    target.unwrap_or(part)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn fields<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let fields = value.pointer(pointer).and_then(Value::as_object);
    fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Text with `code` marked.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(position, part)| match position % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    parts.collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_operation_and_schema_once_and_nothing_from_elsewhere() {
        let document = crate::openapi();
        let page = render(document);
        for shown in operations(document) {
            let id = format!("<h3 id=\"{}\">", text(shown.operation, "/operationId"));
            assert_eq!(page.matches(&id).count(), 1, "{id}");
        }
        for (name, _) in fields(document, "/components/schemas") {
            assert_eq!(page.matches(&format!("id=\"schema-{name}\"")).count(), 1, "{name}");
        }
        for elsewhere in ["<script", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        let targets = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for target in targets {
            match target.strip_prefix('#') {
                Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{target}"),
                None => assert_eq!(target, "openapi.json"),
            }
        }
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(prose("a `<b>` & \"c\""), "a <code>&lt;b&gt;</code> &amp; &quot;c&quot;");
    }
}
