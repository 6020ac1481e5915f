//! av-proto beside the floor and beside other Double Ratchets, in one process: `make bench-proto`.
//!
//! Prints the time of every case, then lines such as `ratio chain_100 av/floor 1.08`. The first argument names the
//! build, the second the number of rounds; a third keeps the cases whose name contains it, for a profiler.

mod av;
mod endpoint;
mod floor;
mod heap;
mod measure;
mod peers;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;

/// Bytes of every message.
const BODY: usize = 100;

/// Rounds without the second argument: about 20 s.
const ROUNDS: usize = 2_001;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let build = arguments.next().unwrap_or_else(|| "this build".to_owned());
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);

    let mut cases = measure::Cases::default();
    floor::add(&mut cases);
    av::add(&mut cases);
    endpoint::add(&mut cases);
    peers::add(&mut cases);
    if let Some(name) = arguments.next() {
        cases.keep(&name);
        cases.run(rounds);
        cases.print(&build);
        return;
    }
    cases.run(rounds);
    cases.print(&build);

    println!();
    for (what, one, other) in [
        ("chain_100", "av", "floor"),
        ("chain_100", "av", "vodozemac"),
        ("chain_100", "av", "double-ratchet-2"),
        ("ping_pong_100", "av", "floor"),
        ("ping_pong_100", "av", "vodozemac"),
        ("ping_pong_100", "av", "double-ratchet-2"),
        ("x3dh_initiate", "av", "floor"),
        ("x3dh_respond", "av", "floor"),
    ] {
        let ratio = cases.ratio(&format!("{one} {what}"), &format!("{other} {what}"));
        println!("ratio {what} {one}/{other} {ratio:.2}");
    }
    for (what, other) in [
        ("forged_message", "floor tag"),
        ("forged_message", "floor dh"),
        ("forged_message", "vodozemac forged_gap_2000"),
        ("forged_message_two_sessions", "floor tag"),
        ("forged_message_two_sessions", "vodozemac forged_gap_2000"),
        ("altered_body", "vodozemac forged_gap_2000"),
        ("forged_prelude_in_turn", "floor dh"),
        ("forged_prelude_at_full_rate", "floor dh"),
        ("replayed_prelude", "floor dh"),
    ] {
        println!("ratio {what} av/{other} {:.3}", cases.ratio(&format!("av {what}"), other));
    }
    println!("heap av {} allocations in {rounds} rounds, errors included", cases.allocations("av "));
    assert_eq!(cases.allocations("av "), 0, "a public call of av-proto allocated");
}
