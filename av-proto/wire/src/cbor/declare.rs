//! Declarations that are the encoding: what stands in a frame is written down once, in the order of the wire.

/// Declares a struct that is the array of its fields.
macro_rules! array {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$lifetime:lifetime>)? {
            $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name $(<$lifetime>)? {
            $($(#[$field_meta])* pub $field: $kind,)*
        }

        impl<'b> $crate::cbor::Decode<'b> for $name $(<$lifetime>)? {
            fn decode(decoder: &mut $crate::cbor::Decoder<'b>) -> Result<Self, $crate::DecodeError> {
                decoder.array_of(0 $(+ $crate::cbor::one!($field))*)?;
                Ok(Self { $($field: $crate::cbor::Decode::decode(decoder)?,)* })
            }
        }

        impl $(<$lifetime>)? $crate::cbor::Encode for $name $(<$lifetime>)? {
            fn encode(&self, encoder: &mut $crate::cbor::Encoder<'_>) {
                encoder.array(0 $(+ $crate::cbor::one!($field))*);
                $($crate::cbor::Encode::encode(&self.$field, encoder);)*
            }
        }
    };
}

/// Declares an enum of which each variant is an array: its number, then its fields.
macro_rules! frames {
    (
        $(#[$meta:meta])*
        pub enum $name:ident<'b> {
            $(
                $(#[$variant_meta:meta])*
                $number:literal => $variant:ident $({
                    $($(#[$field_meta:meta])* $field:ident: $kind:ty,)*
                })?,
            )*
        }
    ) => {
        $(#[$meta])*
        pub enum $name<'b> {
            $(
                $(#[$variant_meta])*
                $variant $({
                    $($(#[$field_meta])* $field: $kind,)*
                })?,
            )*
        }

        impl<'b> $crate::cbor::Decode<'b> for $name<'b> {
            fn decode(decoder: &mut $crate::cbor::Decoder<'b>) -> Result<Self, $crate::DecodeError> {
                let items = decoder.array()?;
                match decoder.uint()? {
                    $(
                        $number if items == 1 $($(+ $crate::cbor::one!($field))*)? => Ok(Self::$variant $({
                            $($field: $crate::cbor::Decode::decode(decoder)?,)*
                        })?),
                    )*
                    _ => Err($crate::DecodeError),
                }
            }
        }

        impl $crate::cbor::Encode for $name<'_> {
            fn encode(&self, encoder: &mut $crate::cbor::Encoder<'_>) {
                match self {
                    $(
                        Self::$variant $({ $($field,)* })? => {
                            encoder.array(1 $($(+ $crate::cbor::one!($field))*)?);
                            encoder.uint($number);
                            $($($crate::cbor::Encode::encode($field, encoder);)*)?
                        }
                    )*
                }
            }
        }
    };
}

/// Declares an enum that is an unsigned integer.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $number,)*
        }

        impl<'b> $crate::cbor::Decode<'b> for $name {
            fn decode(decoder: &mut $crate::cbor::Decoder<'b>) -> Result<Self, $crate::DecodeError> {
                match decoder.uint()? {
                    $($number => Ok(Self::$variant),)*
                    _ => Err($crate::DecodeError),
                }
            }
        }

        impl $crate::cbor::Encode for $name {
            fn encode(&self, encoder: &mut $crate::cbor::Encoder<'_>) {
                encoder.uint(*self as u64);
            }
        }
    };
}

/// 1, for whatever is counted.
macro_rules! one {
    ($item:ident) => {
        1
    };
}

pub(crate) use {array, codes, frames, one};
