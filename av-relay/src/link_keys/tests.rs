use std::fs;
use std::os::unix::fs::PermissionsExt;

use av_link::Initiator;
use av_wire::ids::Origin;
use tempfile::tempdir;

use super::{LinkKeyError, LinkKeys, rng};

fn origin() -> Origin {
    Origin::parse("ws://relay.example:7460").unwrap()
}

fn opens(keys: &LinkKeys, key: &[u8; 32]) -> bool {
    let (initiator, hello) = Initiator::start(&mut rng().unwrap(), &origin(), key).unwrap();
    keys.respond(&origin(), &hello).is_ok_and(|(_, answer)| initiator.finish(&answer).is_ok())
}

#[test]
fn made_once_for_the_owner_of_the_file_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("link-keys");
    let made = LinkKeys::open_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = LinkKeys::open_or_create(&path).unwrap();
    assert_eq!(made.public(), again.public());
    assert_ne!(made.public()[0], made.public()[1]);

    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(LinkKeys::open(&path), Err(LinkKeyError::Exposed(_))));
}

#[test]
fn a_device_of_the_last_pair_still_gets_in_after_a_rotation_and_one_of_the_pair_before_does_not() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("link-keys");
    let first = LinkKeys::open_or_create(&path).unwrap();
    let [current, next] = first.public().map(|key| *key);
    assert!(opens(&first, &current) && opens(&first, &next));

    let rotated = first.rotate(&path).unwrap();
    assert!(opens(&rotated, &next) && !opens(&rotated, &current));
    assert_eq!(rotated.public(), LinkKeys::open(&path).unwrap().public());
    assert_eq!(rotated.public()[0], &next);
}

#[test]
fn another_text_is_refused_and_left_as_it_is() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("link-keys");
    LinkKeys::open_or_create(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let key = good.lines().last().unwrap();
    for text in [
        String::new(),
        "# nothing\n".into(),
        format!("{key}\n"),
        good.clone() + key,
        good.replace(key, &key[1..]),
    ] {
        fs::write(&path, &text).unwrap();
        assert!(matches!(LinkKeys::open_or_create(&path), Err(LinkKeyError::Damaged(_))), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_a_crash_left_behind_is_in_nobodys_way() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("link-keys");
    fs::write(path.with_extension("new"), "half a k").unwrap();
    assert!(LinkKeys::open_or_create(&path).is_ok());
}
