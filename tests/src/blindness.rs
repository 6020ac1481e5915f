//! The relay never sees plaintext: a search of all it stores and all that went over its wire, and canaries that show
//! that the search finds.

use std::path::Path;

use av_host::keystore::Unlock;
use av_host::store::Store;
use av_proto::testing::secrets_in_record;
use av_proto::{RecordKey, Seal, XChaCha20Poly1305};
use av_wire::TenantId;

use crate::Outcome;
use crate::connection::Connection;
use crate::database::{Cluster, Database};
use crate::device::random;
use crate::invite;
use crate::recorder::Recorder;
use crate::search::{Found, Search, Secret};

/// Bytes that hold any opened record.
const RECORD: usize = 16 * 1024;
/// Skipped keys a session in a host's records: the third parameter of [`av_proto::HostEndpoint`].
const SKIPPED: usize = 32;

/// What a search came to.
#[derive(Debug)]
pub struct Searched {
    /// Files of the cluster.
    pub files: usize,
    /// Their bytes.
    pub file_bytes: u64,
    /// Bytes recorded on the wire.
    pub wire_bytes: usize,
    /// Every secret found.
    pub found: Vec<Found>,
}

/// Searches all files of the cluster, after a checkpoint, and everything recorded on the wire.
///
/// # Errors
/// When something cannot be read.
pub fn search(cluster: &Cluster, recorder: &Recorder, secrets: &[Secret]) -> Outcome<Searched> {
    Database::connect(cluster)?.checkpoint()?;
    let search = Search::new(secrets)?;
    let files = search.in_folder(cluster.folder())?;
    let wire = recorder.search(&search)?;
    Ok(Searched {
        files: files.files,
        file_bytes: files.bytes,
        wire_bytes: wire.bytes,
        found: [files.found, wire.found].concat(),
    })
}

/// Three random values, each put where a secret could have leaked.
pub struct Canaries {
    column: Secret,
    log: Secret,
    wire: Secret,
}

impl Canaries {
    /// Puts one into a column of a scratch row, one into the write-ahead log alone, and one into a masked frame to
    /// the relay, which answers by ending that connection.
    ///
    /// # Errors
    /// When one cannot be put there.
    pub fn plant(database: &mut Database, tenant: TenantId, origin: &str) -> Outcome<Self> {
        let canary = |name| Secret::new(name, &random::<32>()?);
        let canaries = Self { column: canary("column")?, log: canary("log")?, wire: canary("wire")? };
        // Under a number that its recipient acknowledged, so that nobody is ever given it.
        let insert = "INSERT INTO av.messages (tenant_id, recipient, sequence, sender, message_id, header_blob, \
                      ciphertext, bytes_before, received_at, expires_at) \
                      SELECT tenant_id, device_id, 1, device_id, decode(md5(random()::text), 'hex'), '', $1, \
                      0, now(), now() + interval '1 day' FROM av.inboxes WHERE acknowledged > 0 LIMIT 1";
        database
            .change(tenant, |transaction| Ok(transaction.execute(insert, &[&canaries.column.bytes()])?))?;
        database.write_to_log(canaries.log.bytes())?;
        let mut connection = Connection::open(origin)?;
        connection.send_bytes(canaries.wire.bytes())?;
        connection.end()?;
        Ok(canaries)
    }

    /// What to search for.
    pub fn secrets(&self) -> [Secret; 3] {
        [self.column.clone(), self.log.clone(), self.wire.clone()]
    }

    /// In words, where each was found.
    ///
    /// # Errors
    /// When one was not found where it was put, or was found where it was not.
    pub fn places(&self, found: &[Found]) -> Outcome<[&'static str; 3]> {
        let is_in = |canary: &Secret, place: &str| {
            let places = found.iter().filter(|found| found.secret == canary.name());
            places.map(|found| found.place.contains(place)).reduce(|all, one| all && one)
        };
        let column_in_table =
            found.iter().any(|found| found.secret == self.column.name() && found.place.contains("/base/"));
        // A masked frame shows nothing on the wire until its mask is taken off.
        let only = (is_in(&self.log, "/pg_wal/"), is_in(&self.wire, "unmasked"));
        if column_in_table && only == (Some(true), Some(true)) {
            Ok(["the column's table file", "the write-ahead log", "a frame on the wire, unmasked"])
        } else {
            Err(format!("the canaries were not found where they are: {found:#?}").into())
        }
    }
}

/// Everything of an invite that must stay between its maker and whom it is for.
///
/// # Errors
/// When the text is no invite.
pub fn secrets_of_invite(text: &str) -> Outcome<Vec<Secret>> {
    let symbols = text.trim_start_matches("av1-").replace('-', "");
    let mut secrets = vec![
        Secret::new("the invite's text", text.as_bytes())?,
        Secret::new("the invite's symbols", symbols.as_bytes())?,
        Secret::new("the invite's token", &invite::token(text)?)?,
    ];
    for (name, key) in invite::secret_keys(text)? {
        secrets.push(Secret::new(&format!("the invite's {name}"), &key)?);
    }
    Ok(secrets)
}

/// The private keys and other secrets in a device's state, which no process may be using.
///
/// # Errors
/// When the state does not open.
pub fn secrets_of_state(whose: &str, state: &Path, key_file: &Path) -> Outcome<Vec<Secret>> {
    let inspection = Store::inspect(state, &Unlock::KeyFile(key_file.to_owned()))?;
    let seal = Seal::new(*inspection.key().expose());
    let mut secrets = Vec::new();
    let mut buffer = vec![0; RECORD];
    inspection.restore(|bytes, sealed| {
        let key = RecordKey::from_bytes(&bytes).ok_or("a record of an unknown kind")?;
        let record = seal.open(key, sealed, &mut buffer).map_err(|error| error.to_string())?;
        let found = secrets_in_record::<XChaCha20Poly1305, SKIPPED>(key, record, &mut |secret| {
            let name = format!("{whose}'s {:?} {}, secret {}", key.kind, key.index, secrets.len());
            secrets.push((name, secret.to_vec()));
        });
        found.map_err(|error| error.to_string())
    })?;
    if secrets.is_empty() {
        return Err(format!("no secret in {}", state.display()).into());
    }
    secrets.iter().map(|(name, bytes)| Secret::new(name, bytes)).collect()
}
