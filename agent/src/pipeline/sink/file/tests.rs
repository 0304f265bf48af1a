use super::*;

const ROTATION: Rotation = Rotation { bytes: 20, files: 3 };

struct Folder {
    folder: tempfile::TempDir,
    tally: Arc<Tally>,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), tally: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("dns.json")
    }

    fn open(&self) -> LogFile {
        let mut file = LogFile::open(&self.path()).unwrap();
        file.set_rotation(Some(ROTATION), Arc::clone(&self.tally));
        file
    }

    /// The file that is written to, the one before, and so on.
    fn texts(&self) -> Vec<String> {
        let before = (1..10).map(|number| moved(&self.path(), number));
        let all = [self.path()].into_iter().chain(before);
        all.map_while(|path| fs::read_to_string(path).ok()).collect()
    }
}

fn write(file: &mut LogFile, lines: &str) {
    let mut done = 0;
    file.write(lines.as_bytes(), &mut done).unwrap();
    assert_eq!(done, lines.len());
}

#[test]
fn a_full_file_is_moved_away_between_two_documents_and_the_oldest_is_replaced_and_counted() {
    let folder = Folder::new();
    let mut file = folder.open();
    // Two of ten bytes fit, three do not.
    write(&mut file, "document1\ndocument2\ndocument3\ndocument4\n");
    assert_eq!(folder.texts(), ["document3\ndocument4\n", "document1\ndocument2\n"]);
    write(&mut file, "document5\n");
    write(&mut file, "document6\ndocument7\n");
    assert_eq!(folder.texts(), ["document7\n", "document5\ndocument6\n", "document3\ndocument4\n"]);
    let counts = FileCounts { rotations: 3, removed_documents: 2, failures: 0 };
    assert_eq!(folder.tally.counts(), counts);
}

#[test]
fn what_an_earlier_run_wrote_counts() {
    let folder = Folder::new();
    fs::write(folder.path(), "x".repeat(30) + "\n").unwrap();
    write(&mut folder.open(), "document1\n");
    assert_eq!(folder.texts(), ["document1\n".to_owned(), "x".repeat(30) + "\n"]);
}

#[test]
fn a_document_that_is_too_large_has_a_file_of_its_own() {
    let folder = Folder::new();
    let large = "x".repeat(50) + "\n";
    write(&mut folder.open(), &format!("a\n{large}b\n"));
    assert_eq!(folder.texts(), ["b\n", &large, "a\n"]);
}

#[test]
fn a_document_that_is_begun_is_ended_in_its_file() {
    let folder = Folder::new();
    let mut file = folder.open();
    write(&mut file, "0123456789abcdef\n");
    file.file.write_all(b"docu").unwrap();
    // So much of it was written when the disk was full.
    let mut done = 4;
    file.write(b"document1\ndocument2\n", &mut done).unwrap();
    assert_eq!(folder.texts(), ["document2\n", "0123456789abcdef\ndocument1\n"]);
}

#[test]
fn others_may_move_the_file_away_or_cut_it_short() {
    let folder = Folder::new();
    let mut file = folder.open();
    write(&mut file, "document1\ndocument2\n");
    fs::rename(folder.path(), folder.path().with_extension("old")).unwrap();
    write(&mut file, "document3\ndocument4\n");
    // copytruncate
    fs::write(folder.path(), "").unwrap();
    write(&mut file, "document5\n");
    assert_eq!(folder.texts(), ["document5\n"]);
    assert_eq!(folder.tally.counts(), FileCounts::default());
}

#[test]
fn a_number_that_is_missing_is_filled_and_nothing_is_removed() {
    let folder = Folder::new();
    fs::write(moved(&folder.path(), 2), "oldest\n").unwrap();
    write(&mut folder.open(), "document1\ndocument2\ndocument3\n");
    assert_eq!(folder.texts(), ["document3\n", "document1\ndocument2\n", "oldest\n"]);
    assert_eq!(folder.tally.counts().removed_documents, 0);
}

#[test]
fn a_link_goes_on_leading_to_the_file_that_is_written_to() {
    let folder = Folder::new();
    let link = folder.folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    let mut file = LogFile::open(&link).unwrap();
    file.set_rotation(Some(ROTATION), Arc::clone(&folder.tally));
    write(&mut file, "document1\ndocument2\ndocument3\n");
    assert_eq!(folder.texts(), ["document3\n", "document1\ndocument2\n"]);
    assert_eq!(fs::read_to_string(link).unwrap(), "document3\n");
}

#[test]
fn what_cannot_be_moved_away_is_written_on_to_and_that_is_counted() {
    let folder = Folder::new();
    let mut file = folder.open();
    write(&mut file, "document1\ndocument2\n");
    // A folder that is not empty is replaced by nothing.
    fs::create_dir_all(moved(&folder.path(), 1).join("x")).unwrap();
    fs::create_dir_all(moved(&folder.path(), 2).join("x")).unwrap();
    write(&mut file, "document3\ndocument4\n");
    assert_eq!(fs::read_to_string(folder.path()).unwrap().lines().count(), 4);
    // It is not tried, and not said, with each batch.
    write(&mut file, "document5\n");
    assert_eq!(fs::read_to_string(folder.path()).unwrap().lines().count(), 5);
    assert_eq!(folder.tally.counts(), FileCounts { failures: 1, ..FileCounts::default() });
    file.stuck = file.stuck.and_then(|since| since.checked_sub(STUCK));
    write(&mut file, "document6\n");
    assert_eq!(folder.tally.counts(), FileCounts { failures: 2, ..FileCounts::default() });
}

/// Two writers of one file: what the other one moved away is not moved once more.
#[test]
fn a_file_that_somebody_else_moved_away_is_not_moved_again() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.open(), folder.open());
    write(&mut one, "document1\ndocument2\n");
    fs::rename(folder.path(), moved(&folder.path(), 1)).unwrap();
    fs::write(folder.path(), "document3\n").unwrap();
    other.rotate(ROTATION).unwrap();
    assert_eq!(folder.texts(), ["document3\n", "document1\ndocument2\n"]);
    assert_eq!(folder.tally.counts(), FileCounts::default());
}

#[test]
fn what_is_no_ordinary_file_is_left_where_it_is() {
    let mut file = LogFile::open(Path::new("/dev/null")).unwrap();
    file.set_rotation(Some(ROTATION), Arc::default());
    write(&mut file, &"document\n".repeat(10));
    assert_eq!(file.tally.counts(), FileCounts::default());
}
