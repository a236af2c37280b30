//! What was found damaged while the node ran.

use super::*;

#[test]
fn what_was_found_damaged_is_looked_at_before_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    append_each(&archive, &log_of(&[1, 2, 3, 4]), &[2, 4]);
    let path = archive.files().remove(0).path;
    let (sound, mut spoiled) = (fs::read(&path).unwrap(), fs::read(&path).unwrap());
    spoiled[100] ^= 1;
    fs::write(&path, &spoiled).unwrap();
    drop(open(folder.path()));
    archive.suspect(&path);
    for _ in 0..2 {
        let refused = Archive::open(folder.path()).expect_err("a node serves what it stopped for");
        assert!(
            matches!(&refused, StoreError::Corrupt { path: at, .. } if *at == path),
            "{refused}"
        );
    }
    // It was not the disk: all of it is whole.
    fs::write(&path, &sound).unwrap();
    drop(open(folder.path()));
    fs::write(&path, &spoiled).unwrap();
    drop(open(folder.path()));
    archive.suspect(&path);
    fs::remove_file(&path).unwrap();
    drop(open(folder.path()));
}
