//! The crate page's figures.

use av_wire::bundle::{Bundle, KeptBundle};

use crate::keys::KEM_SECRETS;
use crate::limits::PENDING_REQUESTS;
use crate::ratchet::PendingKem;
use crate::{HostEndpoint, SmallEndpoint};

#[test]
fn endpoints_take_the_ram_that_the_crate_page_states() {
    // The page's figures are without `pq`; with it a session holds a KEM's ciphertext until it is answered, and the
    // device its KEM keys, its own request's and those of requests that wait.
    const KEM: usize = size_of::<Option<PendingKem>>();
    const ONCE: usize = KEM_SECRETS
        + (Bundle::MAX_LEN - Bundle::MAX_LEN_WITHOUT_KEM)
        + PENDING_REQUESTS * (size_of::<KeptBundle<1>>() - size_of::<KeptBundle<0>>());
    let page = include_str!("../../lib.rs");
    let sizes = [
        ("SmallEndpoint", size_of::<SmallEndpoint>() - 2 * KEM - ONCE),
        ("HostEndpoint", size_of::<HostEndpoint>() - 64 * KEM - ONCE),
    ];
    for (name, size) in sizes {
        println!("{name}: {size} bytes");
        let line =
            page.lines().find(|line| line.starts_with(&format!("//! | [`{name}`]"))).expect("its line");
        let stated = format!("below {} KiB |", size.div_ceil(10 * 1_024) * 10);
        assert!(line.ends_with(&stated), "{line} should say {stated}");
    }
}
