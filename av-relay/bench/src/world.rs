//! A relay of this run's own, and tenants with as many devices as a row asks for: put straight into its database, as
//! if they had enrolled, their identity keys in our hands.

use std::path::PathBuf;
use std::sync::Arc;

use av_relay::store::Endpoint;
use av_tests::Outcome;
use av_tests::database::Cluster;
use av_tests::folder::Folder;
use av_tests::relay::Relay;
use av_wire::ids::InboxEpoch;
use av_wire::{DeviceId, DevicePublic, Role, Suite, TenantId};
use ed25519_dalek::SigningKey;
use tokio_postgres::{Client, NoTls};

/// Where PostgreSQL's socket has its number from: `av-relay/src/store/embedded/directory.rs`.
const PORT: u16 = 5432;

/// A relay with a folder and a cluster of its own.
pub(crate) struct World {
    pub(crate) relay: Relay,
    _folder: Folder,
}

/// A device that is in.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) identity: SigningKey,
    pub(crate) epoch: InboxEpoch,
    public: DevicePublic,
}

/// Devices of one tenant.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) devices: Vec<Arc<Device>>,
}

impl World {
    pub(crate) fn start() -> Outcome<Self> {
        let folder = Folder::new()?;
        Ok(Self { relay: Relay::start(&folder.join("relay"))?, _folder: folder })
    }

    pub(crate) fn origin(&self) -> &str {
        self.relay.origin()
    }

    pub(crate) fn cluster(&self) -> Outcome<Cluster> {
        Cluster::find(self.relay.data())
    }

    pub(crate) fn endpoint(&self) -> Outcome<Endpoint> {
        Ok(Endpoint { socket_folder: PathBuf::from(self.cluster()?.socket_folder()), port: PORT })
    }

    /// A connection of our own to the database, as `av_owner` or `av_app`.
    pub(crate) async fn connect(&self, role: &str) -> Outcome<Client> {
        let Endpoint { socket_folder, port } = self.endpoint()?;
        let mut config = tokio_postgres::Config::new();
        config.host_path(socket_folder).port(port).dbname("agentvault").user(role);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Founds a tenant of this many active devices.
    pub(crate) async fn tenant(&self, devices: usize) -> Outcome<Tenant> {
        let tenant = Tenant { id: TenantId(random()?), devices: make_devices(devices)? };
        let mut client = self.connect("av_app").await?;
        let tx = client.transaction().await?;
        let id = tenant.id.as_bytes().as_slice();
        tx.execute("SELECT set_config('app.tenant_id', encode($1::bytea, 'hex'), true)", &[&id]).await?;
        tx.execute(
            "INSERT INTO av.tenants (tenant_id, root_key) VALUES ($1, $2)",
            &[&id, &[7_u8; 32].as_slice()],
        )
        .await?;
        tx.execute("INSERT INTO av.users (tenant_id, user_id) VALUES ($1, $1)", &[&id]).await?;
        let ids: Vec<&[u8]> = tenant.devices.iter().map(|device| device.id.as_bytes().as_slice()).collect();
        let publics: Vec<Vec<u8>> =
            tenant.devices.iter().map(|device| device.public.to_bytes().to_vec()).collect();
        let epochs: Vec<&[u8]> =
            tenant.devices.iter().map(|device| device.epoch.as_bytes().as_slice()).collect();
        tx.execute(
            "INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, chain)
             SELECT $1, id, $1, public, 'active', '' FROM unnest($2::bytea[], $3::bytea[]) AS t (id, public)",
            &[&id, &ids, &publics],
        )
        .await?;
        tx.execute(
            "INSERT INTO av.inboxes (tenant_id, device_id, epoch)
             SELECT $1, id, epoch FROM unnest($2::bytea[], $3::bytea[]) AS t (id, epoch)",
            &[&id, &ids, &epochs],
        )
        .await?;
        tx.commit().await?;
        Ok(tenant)
    }

    /// Takes away all messages, so that every round starts on empty tables right behind a checkpoint.
    pub(crate) async fn clear(&self, tenant: &Tenant) -> Outcome {
        let mut owner = self.connect("av_owner").await?;
        let tx = owner.transaction().await?;
        let id = tenant.id.as_bytes().as_slice();
        tx.batch_execute("TRUNCATE av.messages, av.message_receipts, av.conversations").await?;
        tx.execute("SELECT set_config('app.tenant_id', encode($1::bytea, 'hex'), true)", &[&id]).await?;
        let all_taken = "UPDATE av.inboxes SET acknowledged = next_sequence - 1, waiting_bytes = 0
                         WHERE tenant_id = $1";
        tx.execute(all_taken, &[&id]).await?;
        tx.commit().await?;
        owner.batch_execute("VACUUM ANALYZE av.inboxes").await?;
        owner.batch_execute("ANALYZE av.devices").await?;
        Ok(owner.batch_execute("CHECKPOINT").await?)
    }
}

fn make_devices(count: usize) -> Outcome<Vec<Arc<Device>>> {
    let device = |_| {
        let identity = SigningKey::from_bytes(&random()?);
        let public = DevicePublic {
            role: Role::Agent,
            suites: Suite::XChaCha20Poly1305.alone(),
            max_message: 8_192,
            identity_key: identity.verifying_key().to_bytes(),
            agreement_key: random()?,
        };
        Ok(Arc::new(Device { id: public.device_id(), identity, epoch: InboxEpoch(random()?), public }))
    };
    (0..count).map(device).collect()
}

pub(crate) fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
