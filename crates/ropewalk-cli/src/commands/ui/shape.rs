//! Documents of the page: written down once, as structures, from which come JSON and TypeScript.
//!
//! A field must never be added elsewhere: the page knows what is here.

use serde_json::{Value, json};

/// Something that JSON and TypeScript can say.
pub(super) trait Shape {
    /// The value as JSON.
    fn json(&self) -> Value;

    /// The type in TypeScript.
    fn name() -> String;
}

macro_rules! plain {
    ($($kind:ty: $name:literal),*) => {
        $(impl Shape for $kind {
            fn json(&self) -> Value {
                json!(self)
            }

            fn name() -> String {
                $name.to_owned()
            }
        })*
    };
}

plain!(bool: "boolean", u32: "number", u64: "number", f64: "number", String: "string", &str: "string");

impl<T: Shape> Shape for Option<T> {
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Shape::json)
    }

    fn name() -> String {
        format!("{} | null", T::name())
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn json(&self) -> Value {
        self.iter().map(Shape::json).collect()
    }

    fn name() -> String {
        format!("{}[]", T::name())
    }
}

/// Declares documents. Each is a structure; `TYPESCRIPT` of all is a function.
macro_rules! shapes {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident {
            $($(#[doc = $about:literal])* $field:ident: $kind:ty,)*
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub(super) struct $name {
                $($(#[doc = $about])* pub(super) $field: $kind,)*
            }

            impl Shape for $name {
                fn json(&self) -> Value {
                    let mut object = serde_json::Map::new();
                    $(object.insert(stringify!($field).to_owned(), self.$field.json());)*
                    Value::Object(object)
                }

                fn name() -> String {
                    stringify!($name).to_owned()
                }
            }
        )*

        /// All documents in TypeScript.
        pub(super) fn typescript() -> String {
            let mut text = String::new();
            $(
                $(text.push_str(concat!("\n/**", $doc, " */"));)*
                text.push_str(concat!("\nexport interface ", stringify!($name), " {\n"));
                $(
                    $(text.push_str(concat!("  /**", $about, " */\n"));)*
                    let kind = <$kind as Shape>::name();
                    text.push_str(&format!("  {}: {kind};\n", stringify!($field)));
                )*
                text.push_str("}\n");
            )*
            text
        }
    };
}

pub(super) use shapes;
