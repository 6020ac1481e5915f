//! Breaks the walls one by one: each policy and its conditions, each table's row security, each predicate of each
//! statement, each setting of the tenant. Every mutant has to make a test fail.

use std::fmt::Write;
use std::fs;

use super::{B, Seen, Told, Trial, predicates, unaudited};
use crate::store::group_tx::CLEAR_TENANT;
use crate::store::{OpenError, Store};
use crate::testing::Rewriter;

/// They are many and alike: `make test` tries every so many of them, `make mutants` all.
const SAMPLE: usize = 12;

/// A change of the schema, and what takes it back.
struct Mutant {
    made: String,
    undone: String,
}

/// Row security is switched off, tables and partitions alike.
async fn row_security(trial: &Trial, on: bool) {
    let change = if on { "ENABLE" } else { "DISABLE" };
    let relations = trial.relations().await;
    let sql: String = relations
        .iter()
        .map(|(table, _)| format!("ALTER TABLE av.{table} {change} ROW LEVEL SECURITY;"))
        .collect();
    trial.owner.batch_execute(&sql).await.unwrap();
}

async fn of_schema(trial: &Trial) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (table, _) in trial.relations().await {
        let mut alter = |change: &str, back: &str| {
            mutants.push(Mutant {
                made: format!("ALTER TABLE av.{table} {change} ROW LEVEL SECURITY"),
                undone: format!("ALTER TABLE av.{table} {back} ROW LEVEL SECURITY"),
            });
        };
        alter("NO FORCE", "FORCE");
        alter("DISABLE", "ENABLE");
        let policies =
            "SELECT policyname::text, permissive, cmd, array_to_string(roles, ', '), qual, with_check
                        FROM pg_policies WHERE schemaname = 'av' AND tablename = $1 ORDER BY policyname";
        for row in trial.owner.query(policies, &[&table]).await.unwrap() {
            let [name, permissive, command, roles, using] =
                [0, 1, 2, 3, 4].map(|column| row.get::<_, String>(column));
            let with_check: Option<String> = row.get(5);
            let check = with_check.as_ref().map(|check| format!(" WITH CHECK ({check})")).unwrap_or_default();
            let undone = format!(
                "DROP POLICY IF EXISTS {name} ON av.{table};
                 CREATE POLICY {name} ON av.{table} AS {permissive} FOR {command} TO {roles} USING ({using}){check}"
            );
            let mut change = |made: String| mutants.push(Mutant { made, undone: undone.clone() });
            change(format!("DROP POLICY {name} ON av.{table}"));
            change(format!("ALTER POLICY {name} ON av.{table} USING (true)"));
            if with_check.is_some() {
                change(format!("ALTER POLICY {name} ON av.{table} WITH CHECK (true)"));
            }
        }
    }
    mutants
}

/// The line of a mutant in the table.
fn line(table: &mut String, mutant: &str, killed_by: &[String]) {
    let killed_by = match killed_by {
        [] => "NOTHING: IT LIVES".to_owned(),
        [one] => one.clone(),
        [one, others @ ..] => format!("{one} (and {} more)", others.len()),
    };
    writeln!(table, "{} | {killed_by}", mutant.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
}

/// Mutants from one that is tried to the next.
fn every() -> usize {
    if std::env::var_os("AV_MUTANTS").is_some() { 1 } else { SAMPLE }
}

/// Kept beside the build, so that it can be read.
fn report(name: &str, table: &str) {
    print!("{table}");
    if let Some(folder) = std::env::var_os("AV_MUTANTS") {
        fs::write(std::path::Path::new(&folder).join(name), table).unwrap();
    }
    assert!(!table.contains("IT LIVES"), "{table}");
}

#[tokio::test]
async fn no_change_of_a_policy_lives() {
    let trial = Trial::start().await;
    let mut table = String::new();
    for Mutant { made, undone } in of_schema(&trial).await.into_iter().step_by(every()) {
        trial.owner.batch_execute(&made).await.unwrap();
        let mut killed_by = Vec::new();
        match Store::open(&trial.cluster.endpoint).await {
            Err(OpenError::NotIsolated(_)) => killed_by.push("the relay does not start".to_owned()),
            other => drop(other.unwrap()),
        }
        let found = trial.findings(&unaudited(&trial.cluster.endpoint)).await;
        killed_by.extend(found);
        trial.owner.batch_execute(&undone).await.unwrap();
        trial.put(&super::BOTH).await;
        line(&mut table, &made, &killed_by);
    }
    assert_eq!(trial.findings(&unaudited(&trial.cluster.endpoint)).await, super::BTreeSet::new());
    report("policies.txt", &table);
}

#[tokio::test]
async fn no_statement_lives_without_its_tenant() {
    let trial = Trial::start().await;
    let rewriter = Rewriter::start(&trial.cluster);
    // The policies would hide what a statement forgets.
    row_security(&trial, false).await;
    let calls = async || -> Vec<Seen> {
        trial.calls(&unaudited(&rewriter.endpoint), B, Told::Own, &super::BOTH).await
    };
    assert_eq!(trial.differences(&calls().await, "by predicates alone"), Vec::<String>::new());
    let statements = rewriter.seen();
    let asked: usize =
        statements.iter().filter(|sql| *sql != super::ROWS).map(|sql| predicates(sql).len()).sum();
    assert_eq!(asked, trial.functions.predicates, "every predicate of the store was asked");
    let mut table = String::new();
    for sql in statements.iter().filter(|sql| *sql != super::ROWS) {
        for (number, (start, end, is_parameter)) in predicates(sql).into_iter().enumerate() {
            let always = if is_parameter { "$1::bytea IS NOT NULL" } else { "true" };
            rewriter.replace(sql, &format!("{}{always}{}", &sql[..start], &sql[end..]));
            let killed_by = trial.differences(&calls().await, "by predicates alone");
            trial.put(&super::BOTH).await;
            let beginning: String = sql.split_whitespace().take(7).collect::<Vec<_>>().join(" ");
            line(
                &mut table,
                &format!("{beginning} …: {}. {} goes", number + 1, &sql[start..end]),
                &killed_by,
            );
        }
    }
    row_security(&trial, true).await;
    report("predicates.txt", &table);
}

#[tokio::test]
async fn no_setting_lives_that_outlasts_its_transaction() {
    let trial = Trial::start().await;
    let rewriter = Rewriter::start(&trial.cluster);
    drop(trial.findings(&unaudited(&rewriter.endpoint)).await);
    // Cleared for the whole session is cleared; not at all is not.
    let uncleared = |sql: &String| (sql.clone(), "SELECT ''::text".to_owned());
    let outlasting = |sql: &String| (sql.clone(), sql.replace(", true)", ", false)"));
    let is_setting = |sql: &&String| sql.contains("set_config") && *sql != super::SET_TENANT;
    let mutants: Vec<(String, String)> = rewriter
        .seen()
        .iter()
        .filter(is_setting)
        .map(|sql| if sql == CLEAR_TENANT { uncleared(sql) } else { outlasting(sql) })
        .collect();
    assert_eq!(mutants.len(), 3, "{mutants:?}");
    let mut table = String::new();
    for (sql, mutant) in &mutants {
        rewriter.replace(sql, mutant);
        let mut killed_by = super::BTreeSet::new();
        trial.leftovers(&unaudited(&rewriter.endpoint), &mut killed_by).await;
        line(&mut table, &format!("{mutant} for {sql}"), &killed_by.into_iter().collect::<Vec<_>>());
    }
    report("settings.txt", &table);
}
