//! Enums whose persisted form is an explicit tag and a body.
//!
//! A serde derive would make the declaration order the format. Here each variant names its tag, a tag is never reused, and an
//! unknown one is an error by name: a newer node's entry is refused, not misread.

/// Declares an enum of single-field variants, serialised as the pair `(tag: u8, body)`.
macro_rules! tagged {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$vmeta:meta])* $tag:literal => $variant:ident($body:ty) ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $( $(#[$vmeta])* $variant($body) ),+
        }

        impl $name {
            /// The tag that stands for this variant in every persisted form.
            #[must_use]
            $vis fn tag(&self) -> u8 {
                match self { $( Self::$variant(_) => $tag ),+ }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple;
                let mut pair = serializer.serialize_tuple(2)?;
                pair.serialize_element(&self.tag())?;
                match self { $( Self::$variant(body) => pair.serialize_element(body)? ),+ }
                pair.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Pair;
                impl<'de> serde::de::Visitor<'de> for Pair {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a tagged ", stringify!($name)))
                    }
                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<$name, A::Error> {
                        use serde::de::Error;
                        let short = || A::Error::custom(concat!("a truncated ", stringify!($name)));
                        let tag: u8 = seq.next_element()?.ok_or_else(short)?;
                        match tag {
                            $( $tag => Ok($name::$variant(seq.next_element()?.ok_or_else(short)?)), )+
                            other => Err(A::Error::custom(format!(concat!("unknown tag {} of ", stringify!($name)), other))),
                        }
                    }
                }
                deserializer.deserialize_tuple(2, Pair)
            }
        }
    };
}

pub(crate) use tagged;
