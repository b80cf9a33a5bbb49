//! What a column of the server becomes in a file.

use std::sync::Arc;

use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use tokio_postgres::types::{Kind as TypeKind, Type};

use crate::names::ident;

/// A type whose binary form is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// Digits, and how many of them stand behind the point.
    Decimal(u8, i8),
    Text,
    /// Text that is a document; `true`: with the version of the binary form in front.
    Json(bool),
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    /// So many lists inside one another.
    List(usize, Box<Kind>),
}

/// The most digits that an exact decimal has anywhere: <https://arrow.apache.org/docs/format/Columnar.html>.
const DECIMAL_DIGITS: i32 = 38;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The server's name of the type, for people and for a table that takes the rows back.
    pub(super) server_type: String,
    /// The server's function for the binary form.
    send: String,
    /// What the server is asked for.
    pub(super) select: String,
    /// Why it is text, where one might expect something else.
    pub(super) note: Option<&'static str>,
    /// Its order depends on a language.
    collated: bool,
}

/// What the server says about a column.
pub(super) struct Described<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a Type,
    pub(super) modifier: i32,
    /// Declared; 0: unknown.
    pub(super) dimensions: i16,
    /// As `format_type` gives it.
    pub(super) server_type: String,
    /// What the server calls the function that gives the binary form of its type, and the one of text.
    pub(super) send: String,
}

impl Field {
    /// `text`: it is wanted as text.
    pub(super) fn of(column: &Described<'_>, text: bool) -> Self {
        let form = if text { Form::cast(None) } else { form(column.kind, column.modifier, column.dimensions) };
        // Also where nothing is to be cast: a domain of the same type would travel under its own number.
        let select = format!("{}::pg_catalog.{}", ident(column.name), ident(form.sent.name()));
        let collated = [Type::TEXT, Type::VARCHAR, Type::BPCHAR].contains(column.kind);
        let Described { name, server_type, send, .. } = column;
        let send = if form.sent == *column.kind {
            send.clone()
        } else if form.sent == Type::TEXT {
            "textsend".into()
        } else {
            "array_send".into()
        };
        Self { name: (*name).into(), kind: form.kind, server_type: server_type.clone(), send, select, note: form.note, collated }
    }

    fn arrow(&self) -> ArrowField {
        self.kind.field(&self.name)
    }

    /// An order that is the same on every server: not by the rules of a language, which depend on its machine.
    pub(super) fn order(&self) -> String {
        let collation = if self.collated { " collate \"C\"" } else { "" };
        format!("q.{}{collation}", ident(&self.name))
    }

    /// The same values stand together, as their text tells them apart: -0 and 0 are two folders.
    pub(super) fn order_of_text(&self) -> String {
        format!("q.{}::pg_catalog.text collate \"C\"", ident(&self.name))
    }

    /// Whether values that are equal to the server are the same: 0 and -0, a day and 24 hours, 1.0 and 1.00 are not.
    pub(super) fn equal_is_same(&self) -> bool {
        let simple = !matches!(self.kind, Kind::Float4 | Kind::Float8 | Kind::List(..) | Kind::Json(_) | Kind::Text);
        simple || self.collated
    }

    /// Its binary form, by the server: what a COPY sends of it.
    pub(super) fn sent(&self) -> String {
        format!("{}({})", self.send, self.select)
    }

    pub(super) fn is_integer(&self) -> bool {
        matches!(self.kind, Kind::Int2 | Kind::Int4 | Kind::Int8)
    }
}

pub(super) fn schema(fields: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(Field::arrow).collect::<Vec<_>>()))
}

/// Names and types, as they enter the digest of the content.
pub(super) fn described(fields: &[Field]) -> String {
    fields.iter().map(|f| format!("{} {}\n", ident(&f.name), f.kind.word())).collect()
}

/// How the values of a type travel, and what they become.
struct Form {
    kind: Kind,
    sent: Type,
    note: Option<&'static str>,
}

impl Form {
    fn same(kind: Kind, sent: &Type) -> Self {
        Self { kind, sent: sent.clone(), note: None }
    }

    /// The server writes it as text, which loses nothing.
    fn cast(note: Option<&'static str>) -> Self {
        Self { kind: Kind::Text, sent: Type::TEXT, note }
    }
}

fn form(kind: &Type, modifier: i32, dimensions: i16) -> Form {
    let simple = match *kind {
        Type::BOOL => Kind::Bool,
        Type::INT2 => Kind::Int2,
        Type::INT4 => Kind::Int4,
        Type::INT8 => Kind::Int8,
        Type::OID => Kind::Oid,
        Type::FLOAT4 => Kind::Float4,
        Type::FLOAT8 => Kind::Float8,
        Type::NUMERIC => return decimal(modifier).map_or_else(|why| Form::cast(Some(why)), |kind| Form::same(kind, &Type::NUMERIC)),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Kind::Text,
        Type::JSON => Kind::Json(false),
        Type::JSONB => Kind::Json(true),
        Type::BYTEA => Kind::Bytea,
        Type::DATE => Kind::Date,
        Type::TIME => Kind::Time,
        Type::TIMESTAMP => Kind::Timestamp,
        Type::TIMESTAMPTZ => Kind::TimestampTz,
        Type::UUID => Kind::Uuid,
        Type::CHAR | Type::INET | Type::CIDR | Type::MACADDR | Type::XML => return Form::cast(None),
        Type::INTERVAL => return Form::cast(Some("interval, of months, days and microseconds: ISO 8601")),
        _ => return constructed(kind, modifier, dimensions),
    };
    Form::same(simple, kind)
}

fn constructed(kind: &Type, modifier: i32, dimensions: i16) -> Form {
    let depth = usize::try_from(dimensions).unwrap_or(1).max(1);
    match kind.kind() {
        TypeKind::Enum(_) => Form::cast(None),
        TypeKind::Array(element) if matches!(element.kind(), TypeKind::Enum(_)) => {
            Form::same(Kind::List(depth, Box::new(Kind::Text)), &Type::TEXT_ARRAY)
        }
        TypeKind::Array(element) => match form(element, modifier, 0) {
            inner if inner.sent == *element => Form::same(Kind::List(depth, Box::new(inner.kind)), kind),
            _ => Form::cast(Some("array of a type without a column of its own")),
        },
        TypeKind::Composite(_) => Form::cast(Some("composite")),
        TypeKind::Range(_) | TypeKind::Multirange(_) => Form::cast(Some("range")),
        _ => Form::cast(Some("a type without a column of its own")),
    }
}

fn decimal(modifier: i32) -> Result<Kind, &'static str> {
    if modifier < 4 {
        return Err("numeric without a precision: any decimal would be a guess");
    }
    let (precision, scale) = ((modifier - 4) >> 16 & 0xffff, (modifier - 4) & 0x7ff);
    // Eleven bits with a sign, since version 15.
    let scale = if scale > 1023 { scale - 2048 } else { scale };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if precision <= DECIMAL_DIGITS && (0..=precision).contains(&scale) => Ok(Kind::Decimal(p, s)),
        _ => Err("numeric of more than 38 digits, or with a scale outside of them"),
    }
}

impl Kind {
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Oid => DataType::UInt32,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Text | Self::Json(_) => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::List(1, inner) => DataType::List(Arc::new(inner.field(ELEMENT))),
            Self::List(depth, inner) => DataType::List(Arc::new(Self::List(depth - 1, inner.clone()).field(ELEMENT))),
        }
    }

    fn field(&self, name: &str) -> ArrowField {
        let field = ArrowField::new(name, self.arrow(), true);
        match self {
            Self::Json(_) => field.with_extension_type(Json::default()),
            Self::Uuid => field.with_extension_type(Uuid),
            _ => field,
        }
    }

    /// In the schema of a version: short, stable, and no crate's.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Bool => "bool".into(),
            Self::Int2 => "int16".into(),
            Self::Int4 => "int32".into(),
            Self::Int8 => "int64".into(),
            Self::Oid => "uint32".into(),
            Self::Float4 => "float32".into(),
            Self::Float8 => "float64".into(),
            Self::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
            Self::Text => "text".into(),
            Self::Json(_) => "json".into(),
            Self::Bytea => "binary".into(),
            Self::Date => "date".into(),
            Self::Time => "time".into(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampTz => "timestamp with time zone".into(),
            Self::Uuid => "uuid".into(),
            Self::List(depth, inner) => format!("{}{}", inner.word(), "[]".repeat(*depth)),
        }
    }
}

/// What every reader calls the element of a list.
const ELEMENT: &str = "element";
