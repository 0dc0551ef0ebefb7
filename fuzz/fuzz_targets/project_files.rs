//! The text of a project's files: problems with places, whatever stands in them. The first byte chooses the file.
#![no_main]

use bedplate_project::Project;
use libfuzzer_sys::fuzz_target;
use std::{fs, path::Path, sync::LazyLock};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder can be made");
    for part in ["agents", "tools", "prompts"] {
        fs::create_dir(folder.path().join(part)).expect("a folder can be made in it");
    }
    folder
});

const FILES: [(&str, &str); 4] = [
    ("bedplate.toml", "[models.m]\nprovider = \"rehearsal\"\n"),
    ("agents/one.md", "---\ndescription: d\ntools: [calculate]\n---\nYou help.\n"),
    ("tools/look.toml", "description = \"d\"\nkind = \"http\"\n"),
    ("prompts/p.md", "Hello {{ name }}\n"),
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let folder = FOLDER.path();
    for (index, (file, good)) in FILES.iter().enumerate() {
        let chosen = usize::from(*choice) % FILES.len() == index;
        write(&folder.join(file), if chosen { text } else { good.as_bytes() });
    }
    let (project, problems) = Project::load(folder, &[]);
    assert!(project.is_some() || !problems.is_empty(), "a project was refused without a word");
    for problem in problems {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
    }
});

fn write(file: &Path, text: &[u8]) {
    fs::write(file, text).expect("a file can be written");
}
