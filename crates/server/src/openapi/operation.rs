//! What the document says of one route: written as a row that a reader can
//! check against the route's function. Types give the schemas, limits the
//! bounds; no number is typed here a second time.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Gives the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`, by reference where it has a name.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Query,
    Header,
}

/// What a parameter may be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A whole number: least, most, and what holds where it is left out.
    Whole(u64, u64, u64),
    /// One of these; the first is meant where it is left out.
    Words(&'static [&'static str]),
    /// Any text of so many characters at most.
    Chars(usize),
    /// Any text that the type allows.
    Text(SchemaOf),
    /// Repeated, so many times at least and at most.
    Repeated(SchemaOf, usize, usize),
}

/// A parameter that is not in the path.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
}

impl Parameter {
    pub(crate) const fn query(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, place: Place::Query, about, kind }
    }
}

/// The items of one page, by the bounds that the route's function checks.
pub(crate) const fn limit((most, default): (usize, usize)) -> Parameter {
    let kind = Kind::Whole(1, most as u64, default as u64);
    Parameter::query("limit", kind, "Items of one page; that of the token where one is given.")
}

/// Where a listing goes on.
pub(crate) const TOKEN: Parameter = Parameter::query(
    "paginationToken",
    Kind::Text(schema_of::<String>),
    "`pagination.next` of the page before.",
);

/// The body of a request.
#[derive(Clone, Copy)]
pub(crate) enum Asks {
    Nothing,
    Perhaps(SchemaOf),
    Always(SchemaOf),
}

/// The body of an answer that is no error.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// No body.
    Nothing,
    /// JSON.
    Json(SchemaOf),
    /// A page for people.
    Html,
    /// Metrics, as scrapers read them.
    Metrics,
}

/// Numbers of writes that an answer's headers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lsn {
    None,
    /// Of the write that was made.
    Wrote,
    /// Of the last write that a read has seen.
    Saw,
}

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Server,
    Indexes,
    Integrations,
    Collections,
    Backups,
    Schedules,
    Models,
    Records,
    Namespaces,
    Imports,
    Exports,
    Text,
}

impl Tag {
    pub(crate) const ALL: [Tag; 12] = [
        Tag::Server,
        Tag::Indexes,
        Tag::Integrations,
        Tag::Collections,
        Tag::Backups,
        Tag::Schedules,
        Tag::Models,
        Tag::Records,
        Tag::Namespaces,
        Tag::Imports,
        Tag::Exports,
        Tag::Text,
    ];

    /// Its name and what it is about.
    pub(crate) fn text(self) -> (&'static str, &'static str) {
        match self {
            Tag::Server => ("Server", "Whether the server answers, and this document."),
            Tag::Indexes => ("Indexes", "Make, list, change and delete indexes."),
            Tag::Integrations => {
                ("Integrations", "Where imports read from and exports write to, and with what key.")
            }
            Tag::Collections => ("Collections", "Named copies of an index."),
            Tag::Backups => ("Backups", "Copies of an index, and indexes made of them."),
            Tag::Schedules => ("Backup schedules", "Backups made by the clock."),
            Tag::Models => ("Models", "Embedding, reranking and assistants."),
            Tag::Records => ("Records", "Upsert, query, fetch, update, delete, list."),
            Tag::Namespaces => ("Namespaces", "The parts of an index."),
            Tag::Imports => ("Imports", "Records from files, in bulk."),
            Tag::Exports => ("Exports", "Records to Parquet files."),
            Tag::Text => ("Records with text", "Search by vector or id, fields beside it."),
        }
    }
}

/// A step to another operation: its id, its path parameter, and where in the
/// answer that stands.
pub(crate) type Link = (&'static str, &'static str, &'static str);

/// What the document says of one route.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// The route's path, as the table of routes has it.
    pub(crate) path: &'static str,
    /// The path that is shown, where a route stands for one of its paths.
    pub(crate) shown: Option<&'static str>,
    pub(crate) id: &'static str,
    pub(crate) tag: Tag,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) asks: Asks,
    pub(crate) gives: Option<(u16, Gives)>,
    pub(crate) lsn: Lsn,
    /// Statuses of errors beside those that every route has.
    pub(crate) errors: &'static [u16],
    pub(crate) links: &'static [Link],
}

impl Operation {
    const fn new(
        method: Method,
        path: &'static str,
        (id, tag): (&'static str, Tag),
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            shown: None,
            id,
            tag,
            summary,
            about: "",
            parameters: &[],
            asks: Asks::Nothing,
            gives: None,
            lsn: Lsn::None,
            errors: &[],
            links: &[],
        }
    }

    pub(crate) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(crate) const fn shown(mut self, path: &'static str) -> Self {
        self.shown = Some(path);
        self
    }

    pub(crate) const fn with(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// It takes a `T`.
    pub(crate) const fn asks<T: JsonSchema>(mut self) -> Self {
        self.asks = Asks::Always(schema_of::<T>);
        self
    }

    /// It takes a `T`, or no body.
    pub(crate) const fn may_ask<T: JsonSchema>(mut self) -> Self {
        self.asks = Asks::Perhaps(schema_of::<T>);
        self
    }

    /// It answers a `T`.
    pub(crate) const fn gives<T: JsonSchema>(mut self, status: u16) -> Self {
        self.gives = Some((status, Gives::Json(schema_of::<T>)));
        self
    }

    /// It answers without a body.
    pub(crate) const fn gives_nothing(mut self, status: u16) -> Self {
        self.gives = Some((status, Gives::Nothing));
        self
    }

    pub(crate) const fn gives_page(mut self) -> Self {
        self.gives = Some((200, Gives::Html));
        self
    }

    pub(crate) const fn gives_metrics(mut self) -> Self {
        self.gives = Some((200, Gives::Metrics));
        self
    }

    pub(crate) const fn wrote(mut self) -> Self {
        self.lsn = Lsn::Wrote;
        self
    }

    pub(crate) const fn saw(mut self) -> Self {
        self.lsn = Lsn::Saw;
        self
    }

    pub(crate) const fn fails(mut self, errors: &'static [u16]) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) const fn leads_to(mut self, links: &'static [Link]) -> Self {
        self.links = links;
        self
    }
}

/// Of a GET; `named` is the operation's id and tag, as in those below.
pub(crate) const fn get(
    path: &'static str,
    named: (&'static str, Tag),
    summary: &'static str,
) -> Operation {
    Operation::new(Method::GET, path, named, summary)
}

/// Of a POST.
pub(crate) const fn post(
    path: &'static str,
    named: (&'static str, Tag),
    summary: &'static str,
) -> Operation {
    Operation::new(Method::POST, path, named, summary)
}

/// Of a PATCH.
pub(crate) const fn patch(
    path: &'static str,
    named: (&'static str, Tag),
    summary: &'static str,
) -> Operation {
    Operation::new(Method::PATCH, path, named, summary)
}

/// Of a DELETE.
pub(crate) const fn delete(
    path: &'static str,
    named: (&'static str, Tag),
    summary: &'static str,
) -> Operation {
    Operation::new(Method::DELETE, path, named, summary)
}
