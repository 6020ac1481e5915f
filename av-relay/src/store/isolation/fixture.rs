//! Two tenants that differ in nothing but what is theirs: every id of one is an id of the other.

use av_wire::ids::{DeviceId, InboxEpoch, KeyId, LookupHash, MessageId, TenantId};
use av_wire::public::{DevicePublic, Role, Suite};
use ed25519_dalek::SigningKey;
use tokio_postgres::{Client, Error};

use crate::limits::MAX_TENANT_BYTES;

/// Whose rows nobody else may reach.
pub(super) const A: TenantId = TenantId([0x0a; 16]);
/// As whom everything is asked.
pub(super) const B: TenantId = TenantId([0x0b; 16]);
/// A tenant that has no row.
pub(super) const NOWHERE: TenantId = TenantId([0x0f; 16]);

pub(super) const EPOCH: InboxEpoch = InboxEpoch([0xee; 16]);
/// The epoch of the agent's inbox in A only.
pub(super) const EPOCH_IN_A: InboxEpoch = InboxEpoch([0xef; 16]);
/// A message that was sent in A only.
pub(super) const SENT_IN_A: MessageId = MessageId([0x99; 16]);
pub(super) const OPEN_INVITE: LookupHash = LookupHash([1; 32]);
pub(super) const CONSUMED_INVITE: LookupHash = LookupHash([2; 32]);
pub(super) const KEY: KeyId = KeyId([0x4b; 16]);

const TEXT: &str = include_str!("fixture.sql");
/// In the order in which nothing is left without what it hangs on.
const TABLES: [&str; 12] = [
    "conversations",
    "inbox_entries",
    "messages",
    "message_receipts",
    "inboxes",
    "statements",
    "prekeys",
    "api_keys",
    "invites",
    "devices",
    "users",
    "tenants",
];

/// The devices of either tenant.
pub(super) struct Fixture {
    pub(super) owner: DevicePublic,
    pub(super) agent: DevicePublic,
    pub(super) pending: DevicePublic,
    pub(super) approved: DevicePublic,
    /// Suspended; in A active.
    pub(super) held: DevicePublic,
    /// A revoked owner; in A active.
    pub(super) out: DevicePublic,
    /// An active owner; in A revoked.
    pub(super) second: DevicePublic,
    /// In neither.
    pub(super) new: DevicePublic,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let public = |seed, role| DevicePublic {
            role,
            suites: Suite::XChaCha20Poly1305.alone(),
            max_message: 16_384,
            identity_key: SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes(),
            agreement_key: [seed; 32],
        };
        Self {
            owner: public(1, Role::Owner),
            agent: public(2, Role::Agent),
            pending: public(3, Role::Agent),
            approved: public(4, Role::Agent),
            held: public(5, Role::Agent),
            out: public(6, Role::Owner),
            second: public(7, Role::Owner),
            new: public(8, Role::Agent),
        }
    }

    fn devices(&self) -> [(&'static str, &DevicePublic); 7] {
        [
            ("owner", &self.owner),
            ("agent", &self.agent),
            ("pending", &self.pending),
            ("approved", &self.approved),
            ("held", &self.held),
            ("out", &self.out),
            ("second", &self.second),
        ]
    }

    fn sql(&self, tenant: TenantId) -> String {
        let mut sql = TEXT.to_owned();
        if tenant != A {
            while let Some((before, rest)) = sql.split_once("-- IF A\n") {
                sql = format!("{before}{}", rest.split_once("-- END\n").unwrap().1);
            }
        }
        let in_a = |yes: &str, no: &str| if tenant == A { yes.to_owned() } else { no.to_owned() };
        let bytes = |bytes: &[u8]| {
            format!("'\\x{}'::bytea", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        let mut values = vec![
            ("tenant".to_owned(), bytes(tenant.as_bytes())),
            ("root".to_owned(), bytes(DeviceId::ROOT.as_bytes())),
            ("key".to_owned(), bytes(KEY.as_bytes())),
            ("statements".to_owned(), in_a("9", "2")),
            ("high".to_owned(), in_a("1", "21")),
            ("signed_id".to_owned(), in_a("40", "5")),
            ("waiting".to_owned(), in_a(&format!("{MAX_TENANT_BYTES}"), "65504")),
            ("epoch_agent".to_owned(), in_a("ef", "ee")),
            ("status_held".to_owned(), in_a("active", "suspended")),
            ("status_out".to_owned(), in_a("active", "revoked")),
            ("status_second".to_owned(), in_a("revoked", "active")),
            ("c".to_owned(), in_a("aa", "bb")),
        ];
        for (name, public) in self.devices() {
            values.push((name.to_owned(), bytes(public.device_id().as_bytes())));
            values.push((format!("public_{name}"), bytes(&public.to_bytes())));
        }
        // No name is cut short by one that it begins with.
        values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        values.iter().fold(sql, |sql, (name, value)| sql.replace(&format!("@{name}"), value))
    }

    /// Makes these tenants, and no others, as they are to be. It fails where a policy is gone that shows the owner
    /// its rows.
    pub(super) async fn put(&self, owner: &Client, tenants: &[TenantId]) -> Result<(), Error> {
        for tenant in [A, B, NOWHERE] {
            // By predicates too: policies may be switched off.
            let of_tenant = format!("WHERE tenant_id = '\\x{tenant}'");
            let mut sql = format!("BEGIN; SET LOCAL app.tenant_id = '{tenant}';");
            sql += &format!("UPDATE av.devices SET api_key = NULL {of_tenant};");
            for table in TABLES {
                sql += &format!("DELETE FROM av.{table} {of_tenant};");
            }
            if tenants.contains(&tenant) {
                sql += &self.sql(tenant);
            }
            if let Err(error) = owner.batch_execute(&(sql + "COMMIT")).await {
                owner.batch_execute("ROLLBACK").await?;
                return Err(error);
            }
        }
        Ok(())
    }
}
