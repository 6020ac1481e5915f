//! Refuses a database in which one tenant could reach another's rows.
//!
//! Row-level security is easily lost without a sign of it: a superuser, an owner, a view, a function of the
//! definer's rights, a forgotten table. So the relay reads the catalogue at every start, as the role that its
//! traffic uses, and starts only when nothing in it could get past the policies.

use tokio_postgres::Client;

use crate::store::{JANITOR_ROLE, OpenError, StoreError};

/// The one condition, as the server prints it.
const TENANT_CONDITION: &str = "(tenant_id = ( SELECT decode(NULLIF(current_setting('app.tenant_id'::text, true), ''::text), 'hex'::text) AS decode))";
/// What may be read of an invite before its tenant is known.
const CAPABILITY_CONDITION: &str = "(lookup_hash = ( SELECT decode(NULLIF(current_setting('app.invite_hash'::text, true), ''::text), 'hex'::text) AS decode))";
/// The one table with that policy.
const CAPABILITY_TABLE: &str = "invites";
/// What the janitor may reach.
const EXPIRED_CONDITION: &str = "(expires_at < now())";
/// Where the janitor removes what expired.
const EXPIRING_TABLES: [&str; 3] = ["inboxes", "message_receipts", "messages"];
/// All that the janitor may do: no column with content, and none that says what a message was.
const JANITOR_RIGHTS: [&str; 15] = [
    "delete message_receipts",
    "delete messages",
    "select inboxes.device_id",
    "select inboxes.expires_at",
    "select inboxes.tenant_id",
    "select inboxes.waiting_bytes",
    "select message_receipts.expires_at",
    "select message_receipts.message_id",
    "select message_receipts.sender",
    "select message_receipts.tenant_id",
    "select messages.expires_at",
    "select messages.recipient",
    "select messages.sequence",
    "select messages.tenant_id",
    "update inboxes.waiting_bytes",
];

/// A role that skips row security, can become another role, is not the one it logged in as, or does not begin
/// with no tenant at all.
const ROLE_PROBLEMS: &str = "
    SELECT format('role %s %s', r.rolname, flaw) FROM pg_roles r, LATERAL (VALUES
        (r.rolsuper, 'is a superuser'),
        (r.rolbypassrls, 'has BYPASSRLS'),
        (r.rolcreaterole, 'may create roles'),
        (r.rolcreatedb, 'may create databases'),
        (r.rolreplication, 'may replicate')) AS t (present, flaw)
    WHERE r.rolname IN (current_user, session_user) AND present
    UNION ALL
    SELECT format('the session logged in as %s and acts as %s', session_user, current_user)
    WHERE current_user <> session_user
    UNION ALL
    SELECT format('role %s is a member of %s', m.member::regrole, m.roleid::regrole) FROM pg_auth_members m
    WHERE m.member IN (SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user))
    UNION ALL
    SELECT format('sessions begin with %s set', setting)
    FROM unnest(ARRAY['app.tenant_id', 'app.invite_hash']) AS setting
    WHERE coalesce(current_setting(setting, true), '') <> ''";

/// An owner can switch row security off; an owner with more rights than its tables lends them to views.
const OWNERSHIP_PROBLEMS: &str = "
    WITH app AS (SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user))
    SELECT format('role %s owns %s', relowner::regrole, oid::regclass) FROM pg_class
    WHERE relowner IN (SELECT oid FROM app)
    UNION ALL
    SELECT format('role %s owns schema %s', nspowner::regrole, nspname) FROM pg_namespace
    WHERE nspowner IN (SELECT oid FROM app)
    UNION ALL
    SELECT format('role %s owns function %s', proowner::regrole, oid::regprocedure) FROM pg_proc
    WHERE proowner IN (SELECT oid FROM app)
    UNION ALL
    SELECT format('role %s owns database %s', datdba::regrole, datname) FROM pg_database
    WHERE datdba IN (SELECT oid FROM app)
    UNION ALL
    SELECT format('%s belongs to %s, which row security does not bind', c.oid::regclass, r.rolname)
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
    WHERE c.relnamespace = 'av'::regnamespace AND (r.rolsuper OR r.rolbypassrls)";

/// Ways around the tables' policies: relations that can have none, code that runs with its definer's rights.
const DETOUR_PROBLEMS: &str = "
    SELECT format('%s is a %s, which cannot have row security', c.oid::regclass,
                  CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END)
    FROM pg_class c WHERE c.relnamespace = 'av'::regnamespace AND c.relkind IN ('m', 'f')
    UNION ALL
    SELECT format('view %s runs with its owner''s rights (no security_invoker)', c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)
    UNION ALL
    SELECT format('function %s runs with its definer''s rights', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    UNION ALL
    SELECT format('%s has rule %s, which runs with the owner''s rights', w.ev_class::regclass, w.rulename)
    FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    WHERE c.relnamespace = 'av'::regnamespace AND c.relkind <> 'v'
    UNION ALL
    SELECT format('%s has trigger %s', g.tgrelid::regclass, g.tgname)
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
    WHERE c.relnamespace = 'av'::regnamespace AND NOT g.tgisinternal";

/// Rights beyond reading and writing rows (TRUNCATE ignores row security), or on anything outside the schema.
const PRIVILEGE_PROBLEMS: &str = "
    WITH app AS (SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user)
                 UNION ALL SELECT 0),
    granted AS (
        SELECT c.oid, c.relnamespace, a.grantee, a.privilege_type
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.relkind <> 'S'
        UNION ALL
        SELECT c.oid, c.relnamespace, a.grantee, a.privilege_type
        FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a)
    SELECT format('%s may %s %s', CASE g.grantee WHEN 0 THEN 'everybody' ELSE g.grantee::regrole::text END,
                  lower(g.privilege_type), g.oid::regclass)
    FROM granted g JOIN pg_namespace n ON n.oid = g.relnamespace
    WHERE g.grantee IN (SELECT oid FROM app) AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND (n.nspname <> 'av' OR g.grantee = 0
           OR g.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
    UNION ALL
    SELECT format('role %s may create in schema %s', current_user, nspname) FROM pg_namespace
    WHERE has_schema_privilege(current_user, oid, 'CREATE') AND nspname !~ '^pg_temp'
    UNION ALL
    SELECT format('role %s may create in database %s', current_user, datname) FROM pg_database
    WHERE datname = current_database() AND has_database_privilege(current_user, oid, 'CREATE, TEMPORARY')";

/// Whoever names a partition goes past its parent: only the parent is for anybody but its owner.
const PARTITION_PROBLEMS: &str = "
    SELECT format('%s may %s partition %s', CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END,
                  lower(a.privilege_type), c.oid::regclass)
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace = 'av'::regnamespace AND c.relispartition AND a.grantee <> c.relowner";

/// Keys are checked beneath row security: one that does not begin with the tenant tells that a foreign row exists.
const KEY_PROBLEMS: &str = "
    SELECT format('unique index %s does not begin with tenant_id', i.indexrelid::regclass)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE c.relnamespace = 'av'::regnamespace AND (i.indisunique OR i.indisexclusion)
      AND a.attname IS DISTINCT FROM 'tenant_id'
    UNION ALL
    SELECT format('foreign key %s of %s does not begin with tenant_id', k.conname, k.conrelid::regclass)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    LEFT JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
    WHERE c.relnamespace = 'av'::regnamespace AND k.contype = 'f'
      AND (a.attname IS DISTINCT FROM 'tenant_id' OR f.attname IS DISTINCT FROM 'tenant_id')";

const PROBLEMS: [&str; 6] = [
    ROLE_PROBLEMS,
    OWNERSHIP_PROBLEMS,
    DETOUR_PROBLEMS,
    PRIVILEGE_PROBLEMS,
    PARTITION_PROBLEMS,
    KEY_PROBLEMS,
];

/// Everything that this role was granted, of tables and of columns.
const RIGHTS: &str = "
    SELECT format('%s %s', lower(a.privilege_type), c.relname) AS granted
    FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = current_user::regrole
    UNION ALL
    SELECT format('%s %s.%s', lower(a.privilege_type), c.relname, t.attname)
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
    WHERE a.grantee = current_user::regrole
    ORDER BY granted";

/// Every table of the schema, whether it is bound, and what the traffic role may do with it.
const TABLES: &str = "
    SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity, c.relispartition,
           (SELECT string_agg(lower(p), ', ' ORDER BY n)
            FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS t (p, n)
            WHERE has_table_privilege(c.oid, p))
    FROM pg_class c WHERE c.relnamespace = 'av'::regnamespace AND c.relkind IN ('r', 'p')
    ORDER BY c.relname";

const POLICIES: &str = "
    SELECT polname::text, polpermissive,
           (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ', ') FROM unnest(polroles) r),
           polcmd::text, pg_get_expr(polqual, polrelid),
           pg_get_expr(polwithcheck, polrelid)
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid
    WHERE c.relnamespace = 'av'::regnamespace AND c.relname = $1
    ORDER BY polname";

/// What a policy must be.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    name: String,
    /// Permissive, or restrictive.
    is_permissive: bool,
    /// Nobody is exempt from the tenant's condition: it is for every role.
    roles: String,
    command: String,
    using: Option<String>,
    with_check: Option<String>,
}

impl Policy {
    fn new(name: &str, roles: &str, command: &str, using: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_permissive: true,
            roles: roles.to_owned(),
            command: command.to_owned(),
            using: Some(using.to_owned()),
            with_check: None,
        }
    }

    fn tenant() -> Self {
        let with_check = Some(TENANT_CONDITION.to_owned());
        Self { with_check, ..Self::new("tenant", "public", "*", TENANT_CONDITION) }
    }

    fn capability() -> Self {
        Self::new("capability", "public", "r", CAPABILITY_CONDITION)
    }

    /// What shows the janitor what expired, and what keeps it to that even when it names a tenant.
    fn of_janitor() -> [Self; 2] {
        let policy = |name| Self::new(name, JANITOR_ROLE, "*", EXPIRED_CONDITION);
        [policy("expired"), Self { is_permissive: false, ..policy("only_expired") }]
    }

    /// In order of name.
    fn expected_of(table: &str) -> Vec<Self> {
        let mut policies = Vec::new();
        if table == CAPABILITY_TABLE {
            policies.push(Self::capability());
        }
        if EXPIRING_TABLES.contains(&table) {
            policies.extend(Self::of_janitor());
        }
        policies.push(Self::tenant());
        policies
    }
}

/// Reads the catalogue over a connection of the traffic role. Returns one line a table, for the log.
///
/// # Errors
/// [`OpenError::NotIsolated`] with everything that was found, not only the first.
pub(crate) async fn audit(app: &Client) -> Result<Vec<String>, OpenError> {
    let mut problems = problems(app).await?;
    let (mut catalogue, mut partitions) = (Vec::new(), 0);
    for row in app.query(TABLES, &[]).await? {
        let table: String = row.try_get(0)?;
        let (enabled, forced, is_partition): (bool, bool, bool) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let rights: Option<String> = row.try_get(4)?;
        if !enabled || !forced {
            problems.push(format!("table av.{table} does not force row security on everybody"));
        }
        let policies = policies_of(app, &table).await?;
        if policies != Policy::expected_of(&table) {
            problems.push(format!("table av.{table} has other policies than it must have: {policies:?}"));
        }
        if is_partition {
            partitions += 1;
            continue;
        }
        let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        catalogue.push(format!(
            "av.{table}: row security enabled and forced, policies [{}], traffic may {}",
            names.join(", "),
            rights.as_deref().unwrap_or("do nothing")
        ));
    }
    if catalogue.is_empty() {
        problems.push("schema av has no tables".to_owned());
    }
    catalogue
        .push(format!("{partitions} partitions: the same, and nobody may do anything with one by its name"));
    if problems.is_empty() { Ok(catalogue) } else { Err(OpenError::NotIsolated(problems)) }
}

/// The same over a connection of the janitor's role, which must have exactly its few rights.
///
/// # Errors
/// [`OpenError::NotIsolated`] with everything that was found, not only the first.
pub(crate) async fn audit_janitor(janitor: &Client) -> Result<(), OpenError> {
    let mut problems = problems(janitor).await?;
    let rows = janitor.query(RIGHTS, &[]).await?;
    let rights: Vec<&str> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if rights != JANITOR_RIGHTS {
        problems.push(format!("role {JANITOR_ROLE} has other rights than it must have: {rights:?}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(OpenError::NotIsolated(problems)) }
}

/// What is wrong with the role of this connection, and with what it could use.
async fn problems(client: &Client) -> Result<Vec<String>, OpenError> {
    let mut problems = Vec::new();
    for query in PROBLEMS {
        for row in client.query(query, &[]).await? {
            problems.push(row.try_get(0)?);
        }
    }
    Ok(problems)
}

async fn policies_of(app: &Client, table: &str) -> Result<Vec<Policy>, StoreError> {
    let rows = app.query(POLICIES, &[&table]).await?;
    let policy = |row: &tokio_postgres::Row| {
        Ok(Policy {
            name: row.try_get(0)?,
            is_permissive: row.try_get(1)?,
            roles: row.try_get(2)?,
            command: row.try_get(3)?,
            using: row.try_get(4)?,
            with_check: row.try_get(5)?,
        })
    };
    rows.iter().map(policy).collect()
}

#[cfg(test)]
mod tests;
