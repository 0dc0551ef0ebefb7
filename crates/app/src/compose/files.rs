//! Writes files of the project for the page: definitions of workflows.

use bedplate_project::ProjectHandle;
use bedplate_server::WorkflowFiles;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The project folder, written to.
pub struct ProjectFiles {
    folder: PathBuf,
    project: ProjectHandle,
}

impl ProjectFiles {
    /// Returns the files of the project in `folder`.
    pub fn new(folder: &Path, project: &ProjectHandle) -> Self {
        Self { folder: folder.to_owned(), project: project.clone() }
    }

    fn replace(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(file);
        // Written beside and renamed, so that nobody ever reads half of it.
        let fresh = path.with_extension("json.new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &path)
    }
}

impl WorkflowFiles for ProjectFiles {
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let declared = self.project.project().workflows.get(name).map(|workflow| workflow.file.to_string());
        let file = declared.ok_or_else(|| format!("the project has no workflow {name}"))?;
        self.replace(&file, text).map_err(|error| format!("{file} could not be written: {error}"))?;
        if self.project.reload().swapped {
            Ok(())
        } else {
            Err("the project has errors and stays as it was".to_owned())
        }
    }
}
