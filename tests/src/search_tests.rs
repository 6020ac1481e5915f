use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::{Found, Search, Secret};
use crate::Outcome;
use crate::folder::Folder;

/// Bytes whose base64 holds `+` and `/`, so that the two alphabets differ.
const SECRET: &[u8] = b"\xfb\xff\xbf\xfe\xfb\xef\xbe\xfa the owner's own words \xff\xfe\xfd";

fn spellings_found(text: &[u8]) -> Outcome<Vec<&'static str>> {
    let search = Search::new(&[Secret::new("secret", SECRET)?])?;
    Ok(search.in_stream("here", text)?.into_iter().map(|found| found.spelling).collect())
}

#[test]
fn every_spelling_is_found_wherever_it_stands() -> Outcome {
    for before in 0..10 {
        for after in 0..10 {
            let around = [&vec![0x5a; before], SECRET, &vec![0xa5; after]].concat();
            assert_eq!(spellings_found(&around)?, ["raw"]);
            let hex: String = around.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(spellings_found(hex.as_bytes())?, ["hex"]);
            assert_eq!(spellings_found(hex.to_uppercase().as_bytes())?, ["HEX"]);
            for engine in [&STANDARD, &STANDARD_NO_PAD] {
                assert_eq!(
                    spellings_found(engine.encode(&around).as_bytes())?,
                    ["base64"],
                    "{before} {after}"
                );
            }
            for engine in [&URL_SAFE, &URL_SAFE_NO_PAD] {
                assert_eq!(
                    spellings_found(engine.encode(&around).as_bytes())?,
                    ["base64url"],
                    "{before} {after}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_not_found() -> Outcome {
    // The outermost bytes share base64 characters with what stands around them.
    for cut in 1..SECRET.len() - 1 {
        let mut other = SECRET.to_vec();
        other[cut] ^= 1;
        assert!(spellings_found(&other)?.is_empty());
        assert!(spellings_found(STANDARD.encode(&other).as_bytes())?.is_empty());
    }
    Ok(())
}

#[test]
fn a_secret_across_the_edge_of_two_reads_is_found() -> Outcome {
    // Larger than any buffer that a streaming search may use.
    for length in [8_191, 65_530, 65_536, 1_000_000] {
        assert_eq!(spellings_found(&[&vec![0; length], SECRET].concat())?, ["raw"]);
    }
    Ok(())
}

#[test]
fn a_folder_is_searched_to_its_leaves() -> Outcome {
    let folder = Folder::new()?;
    std::fs::create_dir_all(folder.join("a/b"))?;
    folder.write("a/b/deep", SECRET, 0o600)?;
    folder.write("clean", b"nothing here", 0o600)?;
    let scanned = Search::new(&[Secret::new("secret", SECRET)?])?.in_folder(folder.path())?;
    assert_eq!((scanned.files, scanned.bytes), (2, 12 + SECRET.len() as u64));
    let place = folder.join("a/b/deep").display().to_string();
    assert_eq!(scanned.found, [Found { secret: "secret".to_owned(), spelling: "raw", place }]);
    Ok(())
}

#[test]
fn a_secret_too_short_to_prove_anything_is_refused() {
    assert!(Secret::new("pin", b"1234").is_err());
    assert!(Search::new(&[]).is_err());
}
