-- Invites, prekeys and the owners' signed statements.

CREATE TABLE av.invites (
    tenant_id    bytea NOT NULL,
    -- Hash of the lookup value, itself derived from the token, which never comes here.
    lookup_hash  bytea NOT NULL CHECK (octet_length(lookup_hash) = 32),
    inviter      bytea NOT NULL,
    role         smallint NOT NULL CHECK (role IN (1, 2)),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    consumed_by  bytea,
    -- The request that consumed the invite, as received: the inviting device checks it.
    request      bytea,
    -- The first later request with other keys, kept as evidence that the token leaked. The device stays named
    -- when the owner has dealt with it, so that no second one is kept.
    late_device  bytea CHECK (octet_length(late_device) = 16),
    late_request bytea,
    PRIMARY KEY (tenant_id, lookup_hash),
    FOREIGN KEY (tenant_id, inviter) REFERENCES av.devices,
    FOREIGN KEY (tenant_id, consumed_by) REFERENCES av.devices,
    CHECK ((consumed_by IS NULL) = (request IS NULL))
);
-- An enrolling device names its invite before anybody knows the tenant.
CREATE INDEX invites_by_hash ON av.invites (lookup_hash);
CREATE INDEX invites_by_consumer ON av.invites (tenant_id, consumed_by) WHERE consumed_by IS NOT NULL;

CREATE TABLE av.prekeys (
    tenant_id  bytea NOT NULL,
    device_id  bytea NOT NULL,
    -- 1 signed, 4 one-time.
    kind       smallint NOT NULL CHECK (kind IN (1, 4)),
    prekey_id  bigint NOT NULL CHECK (prekey_id BETWEEN 0 AND 4294967295),
    record     bytea NOT NULL CHECK (octet_length(record) = 45),
    signature  bytea NOT NULL CHECK (octet_length(signature) = 64),
    -- Of a one-time key: to whom it went. The row stays for as long as that requester gets no other.
    handed_to  bytea CHECK (octet_length(handed_to) = 16),
    handed_at  timestamptz,
    PRIMARY KEY (tenant_id, device_id, kind, prekey_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES av.devices,
    CHECK ((handed_to IS NULL) = (handed_at IS NULL)),
    CHECK (kind = 4 OR handed_to IS NULL)
);

CREATE TABLE av.statements (
    tenant_id bytea NOT NULL REFERENCES av.tenants,
    issuer    bytea NOT NULL CHECK (octet_length(issuer) = 16),
    serial    bigint NOT NULL CHECK (serial > 0),
    subject   bytea NOT NULL,
    -- Kind of the signed object: 2 revocation, 3 suspension, 4 resumption.
    kind      smallint NOT NULL CHECK (kind IN (2, 3, 4)),
    -- The tenant's count when it was posted.
    place     bigint NOT NULL,
    signed    bytea NOT NULL,
    posted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, issuer, serial),
    FOREIGN KEY (tenant_id, subject) REFERENCES av.devices
);
CREATE INDEX statements_by_subject ON av.statements (tenant_id, subject);

ALTER TABLE av.invites ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.invites FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.invites
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
-- Whoever shows the lookup value may read that one row, and learns from it which tenant to ask on behalf of.
CREATE POLICY capability ON av.invites FOR SELECT
    USING (lookup_hash = (SELECT decode(nullif(current_setting('app.invite_hash', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE ON av.invites TO av_app;

ALTER TABLE av.prekeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.prekeys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.prekeys
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT, UPDATE, DELETE ON av.prekeys TO av_app;

ALTER TABLE av.statements ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.statements FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.statements
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT ON av.statements TO av_app;
