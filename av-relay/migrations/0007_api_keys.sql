-- API keys: an owner's approvals in advance. The seed never comes here, only what the owner signed of its public key.

CREATE TABLE av.api_keys (
    tenant_id  bytea NOT NULL,
    key_id     bytea NOT NULL CHECK (octet_length(key_id) = 16),
    granted_by bytea NOT NULL,
    -- The signed object, which says how many devices and until when.
    key_grant  bytea NOT NULL,
    -- Seconds since 1970, as signed.
    expires_at bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, granted_by) REFERENCES av.devices
);
CREATE INDEX api_keys_by_owner ON av.api_keys (tenant_id, granted_by);

-- The key that a device enrolled with.
ALTER TABLE av.devices
    ADD COLUMN api_key bytea,
    ADD FOREIGN KEY (tenant_id, api_key) REFERENCES av.api_keys;
CREATE INDEX devices_by_api_key ON av.devices (tenant_id, api_key) WHERE api_key IS NOT NULL;

-- A key is closed by its revocation, whose subject it is in the place of a device.
ALTER TABLE av.statements
    ADD COLUMN api_key bytea,
    ADD FOREIGN KEY (tenant_id, api_key) REFERENCES av.api_keys,
    ADD CONSTRAINT statements_api_key_check CHECK (api_key IS NULL OR (kind = 2 AND api_key = subject)),
    DROP COLUMN device,
    ADD COLUMN device bytea
        GENERATED ALWAYS AS (CASE WHEN kind <> 5 AND api_key IS NULL THEN subject END) STORED,
    ADD FOREIGN KEY (tenant_id, device) REFERENCES av.devices;

-- The chain of a device that enrolled with a key of the inbox's owner.
ALTER TABLE av.inbox_entries
    ADD COLUMN key_used bytea,
    DROP CONSTRAINT inbox_entries_one_content,
    ADD CONSTRAINT inbox_entries_one_content
        CHECK (num_nonnulls(message_id, serial, activated, recertified, key_used) = 1);

ALTER TABLE av.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE av.api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON av.api_keys
    USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
    WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')));
GRANT SELECT, INSERT ON av.api_keys TO av_app;
