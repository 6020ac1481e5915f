//! Hand-made devices: keys and signatures of a test's own, so that it can say what no honest device says.

use av_proto::invite::InviteKeys;
use av_wire::bundle::{Bundle, Prekey, PrekeyKind, SignedPrekey};
use av_wire::chain::Chain;
use av_wire::enroll::{EnrollRequest, EnrollTranscript};
use av_wire::frame::{LinkKind, ToDevice, ToRelay, authentication_message};
use av_wire::labels::SignaturePurpose;
use av_wire::limits::{MAX_FRAME, SEALED_NAME};
use av_wire::signature::signed_message;
use av_wire::{DeviceId, DevicePublic, Origin, Role, Signature, Suite, TenantId};
use ed25519_dalek::{Signer, SigningKey};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use crate::Outcome;
use crate::connection::{Connection, decode, unexpected};

/// Seconds since 1970 in everything that hand-made devices sign; the relay looks at its own clock.
pub(crate) const ISSUED_AT: u64 = 1_800_000_000;

/// Fresh random bytes.
///
/// # Errors
/// Those of the system's random source.
pub fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A device's identity. Its agreement key is random bytes: the relay never uses it.
pub struct Device {
    pub(crate) identity: SigningKey,
    public: DevicePublic,
}

/// What [`Device::request`] made: an enrollment request in owned bytes, to be sent as it is or bent first.
#[derive(Clone)]
pub struct Request {
    /// Shows the invite.
    pub lookup: [u8; 32],
    /// [`DevicePublic`].
    pub device: [u8; DevicePublic::LEN],
    /// The prekeys.
    pub bundle: Vec<u8>,
    /// Name and platform, sealed; random where nobody is to open it.
    pub sealed_name: Vec<u8>,
    /// Possession of the identity key.
    pub pop: Signature,
    /// Possession of the token; random where nobody is to check it.
    pub tag: [u8; 32],
}

impl Request {
    /// As the wire wants it.
    pub fn as_wire(&self) -> EnrollRequest<'_> {
        EnrollRequest {
            lookup: self.lookup,
            device: self.device,
            bundle: self.bundle.as_slice(),
            sealed_name: self.sealed_name.as_slice(),
            pop: self.pop,
            tag: self.tag,
        }
    }

    /// As a frame.
    pub fn frame(&self) -> ToRelay<'_> {
        ToRelay::Enroll { request: self.as_wire() }
    }

    /// Its transcript.
    ///
    /// # Errors
    /// When a part is too long.
    pub fn transcript(&self) -> Outcome<EnrollTranscript> {
        Ok(self.as_wire().transcript()?)
    }
}

impl Device {
    /// A device with fresh keys.
    ///
    /// # Errors
    /// Those of the system's random source.
    pub fn new(role: Role) -> Outcome<Self> {
        let identity = SigningKey::from_bytes(&random()?);
        let public = DevicePublic {
            role,
            suites: Suite::XChaCha20Poly1305.alone(),
            max_message: 8_192,
            identity_key: identity.verifying_key().to_bytes(),
            agreement_key: random()?,
        };
        Ok(Self { identity, public })
    }

    /// Its public identity.
    pub fn public(&self) -> &DevicePublic {
        &self.public
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.public.device_id()
    }

    /// Sign(IKs, purpose, parts).
    ///
    /// # Errors
    /// When the parts are too long to be signed.
    pub fn sign(&self, purpose: SignaturePurpose, parts: &[&[u8]]) -> Outcome<Signature> {
        sign(&self.identity, purpose, parts)
    }

    /// A signed prekey and one one-time prekey, their keys random bytes.
    ///
    /// # Errors
    /// Those of the system's random source.
    pub fn bundle(&self) -> Outcome<Bundle<'static>> {
        let prekey = |kind, id| -> Outcome<SignedPrekey> {
            let record = Prekey { kind, id, created_at: ISSUED_AT, key: random()? }.to_bytes();
            let signature = self.sign(SignaturePurpose::Prekey, &[self.id().as_bytes(), &record])?;
            Ok(SignedPrekey { record, signature })
        };
        Ok(Bundle {
            signed: prekey(PrekeyKind::Signed, 1)?,
            one_time: Some(prekey(PrekeyKind::OneTime, 2)?),
            kem: None,
        })
    }

    /// A request to enroll with the invite that has this lookup value. Sealed name and tag are random.
    ///
    /// # Errors
    /// Those of the system's random source.
    pub fn request(&self, lookup: &[u8; 32]) -> Outcome<Request> {
        let mut request = Request {
            lookup: *lookup,
            device: self.public.to_bytes(),
            bundle: encoded(&self.bundle()?)?,
            sealed_name: random::<SEALED_NAME>()?.to_vec(),
            pop: Signature([0; 64]),
            tag: random()?,
        };
        request.pop = self.sign(SignaturePurpose::Enroll, &[&request.transcript()?.0])?;
        Ok(request)
    }

    /// A request to enroll with these invite keys, its tag as the invite's holder makes it.
    ///
    /// # Errors
    /// Those of the system's random source.
    pub fn request_with(&self, keys: &InviteKeys, name: &str) -> Outcome<Request> {
        let mut request = self.request(keys.lookup())?;
        request.sealed_name = keys.seal_name(&mut UnwrapErr(SysRng), name, "test")?.to_vec();
        let transcript = request.transcript()?;
        request.pop = self.sign(SignaturePurpose::Enroll, &[&transcript.0])?;
        request.tag = keys.enroll_tag(&transcript)?;
        Ok(request)
    }

    /// Takes up a grant of this chain.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn activate(
        &self,
        connection: &mut Connection,
        tenant: TenantId,
        request: &Request,
        chain: &[u8],
    ) -> Outcome {
        let parts = [request.transcript()?.0, Chain::new(chain).hash()];
        let signature = self.sign(SignaturePurpose::Activate, &[&parts[0], &parts[1]])?;
        connection.must(&ToRelay::Activate { tenant_id: tenant, device_id: self.id(), signature })
    }

    /// The frame that authenticates this connection.
    ///
    /// # Errors
    /// Never for an origin that connects.
    pub fn authentication(&self, connection: &Connection, tenant: TenantId) -> Outcome<ToRelay<'static>> {
        self.authentication_for(connection.nonce(), tenant, connection.origin())
    }

    /// The frame that would authenticate a connection with this nonce to a relay of this origin.
    ///
    /// # Errors
    /// Never for a valid origin.
    pub fn authentication_for(
        &self,
        nonce: &[u8; 32],
        tenant: TenantId,
        origin: &Origin,
    ) -> Outcome<ToRelay<'static>> {
        let message = authentication_message(LinkKind::Plain, nonce, &tenant, &self.id(), origin)?;
        Ok(ToRelay::Authenticate {
            tenant_id: tenant,
            device_id: self.id(),
            receive_window: 16,
            ping_period: 0,
            link: LinkKind::Plain,
            signature: Signature(self.identity.sign(&message).to_bytes()),
        })
    }

    /// Opens an authenticated connection. Frames behind Welcome wait in it.
    ///
    /// # Errors
    /// When the relay does not welcome this device.
    pub fn connect(&self, origin: &str, tenant: TenantId) -> Outcome<Connection> {
        let mut connection = Connection::open(origin)?;
        let answer = connection.call(&self.authentication(&connection, tenant)?)?;
        match decode(&answer)? {
            ToDevice::Welcome { .. } => Ok(connection),
            other => Err(unexpected(&other)),
        }
    }
}

/// Sign(key, purpose, parts).
pub(crate) fn sign(key: &SigningKey, purpose: SignaturePurpose, parts: &[&[u8]]) -> Outcome<Signature> {
    Ok(Signature(key.sign(&signed_message(purpose, parts)?).to_bytes()))
}

pub(crate) fn encoded<T: av_wire::cbor::Encode>(value: &T) -> Outcome<Vec<u8>> {
    let mut buffer = vec![0; MAX_FRAME];
    Ok(av_wire::encode(value, &mut buffer)?.to_vec())
}
