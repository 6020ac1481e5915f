//! What secrets leave behind. Two programs, which `make ct` runs:
//!
//! ```text
//! constant-time   in the time that av-proto takes: every secret is undefined to valgrind, which then reports each
//!                 branch and each address that depends on one
//! wiping          in the memory that it used: what was dropped, and the stack below a call, is searched for secrets
//! ```
//!
//! Both take their secrets where av-proto takes them: from the generator that is its argument. So nothing has to be
//! opened up to be examined, and no secret is forgotten: what is derived from an undefined byte is undefined too.

pub mod devices;
pub mod memcheck;
pub mod randomness;
