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

    /// Whether a field of this type may be missing.
    const IS_OPTIONAL: bool = false;

    /// What of a document that somebody else has made is not of this type.
    #[cfg(test)]
    fn misfit(value: &Value) -> Option<String>;
}

macro_rules! plain {
    ($($kind:ty: $name:literal $is:ident),*) => {
        $(impl Shape for $kind {
            #[cfg(test)]
            fn misfit(value: &Value) -> Option<String> {
                (!value.$is()).then(|| format!("{value} is no {}", $name))
            }

            fn json(&self) -> Value {
                json!(self)
            }

            fn name() -> String {
                $name.to_owned()
            }
        })*
    };
}

plain!(
    bool: "boolean" is_boolean,
    u32: "number" is_number,
    u64: "number" is_number,
    f64: "number" is_number,
    String: "string" is_string,
    &str: "string" is_string
);

impl<T: Shape> Shape for Option<T> {
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Shape::json)
    }

    fn name() -> String {
        format!("{} | null", T::name())
    }

    #[cfg(test)]
    fn misfit(value: &Value) -> Option<String> {
        if value.is_null() { None } else { T::misfit(value) }
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn json(&self) -> Value {
        self.iter().map(Shape::json).collect()
    }

    fn name() -> String {
        format!("{}[]", T::name())
    }

    #[cfg(test)]
    fn misfit(value: &Value) -> Option<String> {
        match value.as_array() {
            Some(items) => items.iter().find_map(T::misfit),
            None => Some(format!("{value} is no list")),
        }
    }
}

/// A field of a document that is there only sometimes, which none of ours is.
pub(super) struct Sometimes<T>(std::convert::Infallible, std::marker::PhantomData<T>);

impl<T: Shape> Shape for Sometimes<T> {
    const IS_OPTIONAL: bool = true;

    fn json(&self) -> Value {
        match self.0 {}
    }

    fn name() -> String {
        T::name()
    }

    #[cfg(test)]
    fn misfit(value: &Value) -> Option<String> {
        T::misfit(value)
    }
}

/// A line of TypeScript for a field.
pub(super) fn field<T: Shape>(name: &str) -> String {
    let mark = if T::IS_OPTIONAL { "?" } else { "" };
    format!("  {name}{mark}: {};\n", T::name())
}

/// What is wrong with a field of an object.
#[cfg(test)]
pub(super) fn misfit<T: Shape>(object: &Value, name: &str) -> Option<String> {
    match object.get(name) {
        Some(value) => T::misfit(value).map(|problem| format!("{name}: {problem}")),
        None if T::IS_OPTIONAL => None,
        None => Some(format!("{name} is missing in {object}")),
    }
}

/// Declares documents that are made here. Each is a structure; the function gives all of them in
/// TypeScript.
macro_rules! shapes {
    ($all:ident: $($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $about:literal])* $field:ident: $kind:ty,)*
    })*) => {
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

                super::shape::described!($name { $($field: $kind,)* });
            }
        )*

        super::shape::listed!($all: $($(#[doc = $doc])* $name {
            $($(#[doc = $about])* $field: $kind,)*
        })*);
    };
}

/// Declares documents that are made elsewhere: there is nothing of these types here.
macro_rules! foreign_shapes {
    ($all:ident: $($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $about:literal])* $field:ident: $kind:ty,)*
    })*) => {
        $(
            $(#[doc = $doc])*
            pub(super) enum $name {}

            impl Shape for $name {
                fn json(&self) -> Value {
                    match *self {}
                }

                super::shape::described!($name { $($field: $kind,)* });
            }
        )*

        super::shape::listed!($all: $($(#[doc = $doc])* $name {
            $($(#[doc = $about])* $field: $kind,)*
        })*);
    };
}

/// What the type of a document says of itself.
macro_rules! described {
    ($name:ident { $($field:ident: $kind:ty,)* }) => {
        fn name() -> String {
            stringify!($name).to_owned()
        }

        #[cfg(test)]
        fn misfit(value: &Value) -> Option<String> {
            None$(.or_else(|| super::shape::misfit::<$kind>(value, stringify!($field))))*
        }
    };
}

/// All documents in TypeScript.
macro_rules! listed {
    ($all:ident: $($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $about:literal])* $field:ident: $kind:ty,)*
    })*) => {
        /// These documents in TypeScript.
        pub(super) fn $all() -> String {
            let mut text = String::new();
            $(
                $(text.push_str(concat!("\n/**", $doc, " */"));)*
                text.push_str("\nexport interface ");
                text.push_str(&<$name as Shape>::name());
                text.push_str(" {\n");
                $(
                    $(text.push_str(concat!("  /**", $about, " */\n"));)*
                    text.push_str(&super::shape::field::<$kind>(stringify!($field)));
                )*
                text.push_str("}\n");
            )*
            text
        }
    };
}

pub(super) use {described, foreign_shapes, listed, shapes};
