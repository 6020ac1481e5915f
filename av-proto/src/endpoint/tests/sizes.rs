//! The crate page's figures.

use crate::ratchet::PendingKem;
use crate::{HostEndpoint, SmallEndpoint};

#[test]
fn endpoints_take_the_ram_that_the_crate_page_states() {
    // The page's figures are without `pq`; with it a session holds a KEM's ciphertext until it is answered.
    const KEM: usize = size_of::<Option<PendingKem>>();
    let page = include_str!("../../lib.rs");
    let sizes = [
        ("SmallEndpoint", size_of::<SmallEndpoint>() - 2 * KEM),
        ("HostEndpoint", size_of::<HostEndpoint>() - 64 * KEM),
    ];
    for (name, size) in sizes {
        println!("{name}: {size} bytes");
        let line =
            page.lines().find(|line| line.starts_with(&format!("//! | [`{name}`]"))).expect("its line");
        let stated = format!("below {} KiB |", size.div_ceil(10 * 1_024) * 10);
        assert!(line.ends_with(&stated), "{line} should say {stated}");
    }
}
