//! The schema's steps, and which of them a database still lacks.

use anyhow::ensure;

/// One step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) version: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($version:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../migrations/", $folder, "/", $name, ".sql")),
        }),*]
    };
}

pub(super) const SQLITE: &[Migration] = migrations!("sqlite": 1 "0001_initial", 2 "0002_work", 3 "0003_sends", 4 "0004_people", 5 "0005_phones", 6 "0006_cards", 7 "0007_care", 8 "0008_jobs", 9 "0009_campaigns", 10 "0010_erasures", 11 "0011_catch_up", 12 "0012_blacklist", 13 "0013_tags", 14 "0014_job_names");
pub(super) const POSTGRES: &[Migration] = migrations!("postgres": 1 "0001_initial", 2 "0002_work", 3 "0003_sends", 4 "0004_people", 5 "0005_phones", 6 "0006_cards", 7 "0007_care", 8 "0008_jobs", 9 "0009_campaigns", 10 "0010_erasures", 11 "0011_catch_up", 12 "0012_blacklist", 13 "0013_tags", 14 "0014_job_names");

/// Where a database notes what was applied to it. Both databases understand this.
pub(super) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS weir_migrations (
    version    BIGINT PRIMARY KEY,
    name       TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)";
pub(super) const APPLIED: &str = "SELECT version, name FROM weir_migrations ORDER BY version";
pub(super) const NOTE: &str = "INSERT INTO weir_migrations (version, name) VALUES ($1, $2)";

/// The steps to apply, in order, when `applied` were.
///
/// # Errors
/// The database has another history.
pub(super) fn missing(
    known: &'static [Migration],
    applied: &[(i64, String)],
) -> anyhow::Result<Vec<Migration>> {
    for (version, name) in applied {
        match known.iter().find(|step| step.version == *version) {
            Some(step) => ensure!(
                step.name == name,
                "the database's step {version} is {name}, this program's is {}: they are of different histories",
                step.name
            ),
            None => tracing::warn!(version, name, "the schema is newer than this program"),
        }
    }
    let is_applied = |version| applied.iter().any(|(applied, _)| *applied == version);
    Ok(known
        .iter()
        .filter(|step| !is_applied(step.version))
        .copied()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_steps_in_order() {
        let names = |steps: &[Migration]| {
            steps
                .iter()
                .map(|step| (step.version, step.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(SQLITE), names(POSTGRES));
        for (index, step) in SQLITE.iter().enumerate() {
            assert_eq!(step.version, i64::try_from(index).unwrap() + 1);
            assert!(
                step.name.starts_with(&format!("{:04}_", step.version)),
                "{}",
                step.name
            );
        }
    }

    #[test]
    fn a_fresh_database_lacks_all_a_current_one_none_and_a_newer_one_none() {
        assert_eq!(missing(SQLITE, &[]).unwrap().len(), SQLITE.len());
        let mut applied: Vec<_> = SQLITE
            .iter()
            .map(|step| (step.version, step.name.to_owned()))
            .collect();
        assert!(missing(SQLITE, &applied).unwrap().is_empty());
        applied.push((9999, "9999_future".to_owned()));
        assert!(missing(SQLITE, &applied).unwrap().is_empty());
    }

    #[test]
    fn a_database_with_another_history_is_refused() {
        let error = missing(SQLITE, &[(1, "0001_other".to_owned())]).unwrap_err();
        assert!(error.to_string().contains("0001_other"), "{error}");
    }
}
