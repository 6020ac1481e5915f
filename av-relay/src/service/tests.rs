mod api_keys;
mod authority;
mod enrollment;
mod founding;
mod isolation;
mod messages;
mod prekeys;

use super::Refusal;

/// The refusal that a call must have met.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Refusal {
    match result {
        Err(Refusal::Store(error)) => panic!("the store failed: {error}"),
        Err(refusal) => refusal,
        Ok(value) => panic!("not refused: {value:?}"),
    }
}
