//! Everything that the demo starts and makes; dropped in the order that leaves nothing behind.

use av_tests::agent::Agent;
use av_tests::database::{Cluster, Database};
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_tests::search::Secret;
use av_tests::wait::{DEADLINE, wait_until};
use av_tests::{Failure, Outcome};
use av_wire::TenantId;

/// The stage: a relay behind a recorder, an owner, and later an agent.
pub(crate) struct World {
    // Declared in the order in which they are dropped: processes before the folder that they write into.
    pub(crate) agents: Vec<Agent>,
    relay: Option<Relay>,
    recorder: Recorder,
    owner: Owner,
    /// What must never reach the relay, collected as it comes up.
    pub(crate) secrets: Vec<Secret>,
    /// Messages that the owner sent, in order.
    pub(crate) sent: Vec<String>,
    upstream: std::net::SocketAddr,
    folder: Folder,
}

impl World {
    /// A folder, an owner without a tenant, and a recorder in front of where the relay will listen.
    pub(crate) fn new() -> Outcome<Self> {
        let folder = Folder::new()?;
        let upstream = free_address()?;
        Ok(Self {
            agents: Vec::new(),
            relay: None,
            recorder: Recorder::start(upstream)?,
            owner: Owner::new(&folder, "owner")?,
            secrets: Vec::new(),
            sent: Vec::new(),
            upstream,
            folder,
        })
    }

    /// Starts the relay.
    pub(crate) fn start_relay(&mut self) -> Outcome {
        let relay = Relay::start_at(&self.folder.join("relay"), self.upstream, &self.recorder.origin())?;
        self.relay = Some(relay);
        Ok(())
    }

    pub(crate) fn relay(&mut self) -> Outcome<&mut Relay> {
        self.relay.as_mut().ok_or_else(|| "the relay was not started".into())
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The agent of the five acts.
    pub(crate) fn agent(&mut self) -> Outcome<&mut Agent> {
        self.agents.first_mut().ok_or_else(|| "there is no agent yet".into())
    }

    pub(crate) fn cluster(&mut self) -> Outcome<Cluster> {
        Cluster::find(self.relay()?.data())
    }

    pub(crate) fn database(&mut self) -> Outcome<Database> {
        Database::connect(&self.cluster()?)
    }

    /// The tenant, as the founding frame on the wire names it.
    pub(crate) fn tenant(&self) -> Outcome<TenantId> {
        self.recorder.tenant()
    }

    /// One value of one query over the tenant's rows, once it is `wanted`.
    pub(crate) fn await_value(&mut self, query: &str, wanted: &str) -> Outcome {
        let (tenant, mut database) = (self.tenant()?, self.database()?);
        wait_until(&format!("{query} gives {wanted}"), DEADLINE, || {
            let value = value(&mut database, tenant, query)?;
            Ok((value == wanted).then_some(()))
        })
    }

    /// One value of one query over the tenant's rows, as text.
    pub(crate) fn value(&mut self, query: &str) -> Outcome<String> {
        let (tenant, mut database) = (self.tenant()?, self.database()?);
        value(&mut database, tenant, query)
    }

    /// Adds to what must never reach the relay.
    pub(crate) fn keep_secret(&mut self, name: &str, bytes: &[u8]) -> Outcome {
        self.secrets.push(Secret::new(name, bytes)?);
        Ok(())
    }

    /// Sends a message from the owner that will be searched for, with the answer that the agent gives.
    pub(crate) fn note(&mut self, message: &str) -> Outcome {
        self.keep_secret("a message", message.as_bytes())?;
        self.keep_secret("an answer", message.to_uppercase().as_bytes())?;
        self.sent.push(message.to_owned());
        Ok(())
    }
}

fn value(database: &mut Database, tenant: TenantId, query: &str) -> Outcome<String> {
    database.with_tenant(tenant, |transaction| {
        let row = transaction.query_one(query, &[])?;
        row.try_get::<_, Option<String>>(0).map(Option::unwrap_or_default).map_err(Failure::from)
    })
}
