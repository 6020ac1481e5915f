//! Tests of the crate as its users see it, one file a promise. Expected bytes come from `vectors/av-wire.txt`,
//! which an independent implementation made.
#![allow(clippy::cast_possible_truncation, reason = "small numbers that tests make up themselves")]

mod cbor;
mod cddl;
mod chains;
mod enrollment;
mod identity;
mod injective;
mod kept;
mod keys;
mod labels;
mod limits;
mod many_eddsas;
mod origins;
mod posted;
mod samples;
mod statements;
mod strict;
mod vectors;
