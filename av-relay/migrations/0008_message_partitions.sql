-- Messages become a partitioned table, keyed by the inbox that they wait in, with what quotas and expiry go by.
--
-- What waits in an inbox is always its newest end: acknowledgements and expiry take from the other one, in order of
-- sequence. So counts need no counters that several roles would have to keep: they are differences of running totals.

-- The migration has to see the rows of every tenant, which the owner does not while this is forced.
ALTER TABLE av.messages NO FORCE ROW LEVEL SECURITY;
ALTER TABLE av.inbox_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE av.inboxes NO FORCE ROW LEVEL SECURITY;
ALTER TABLE av.message_receipts NO FORCE ROW LEVEL SECURITY;

ALTER TABLE av.devices
    -- Bytes of the largest Deliver frame: bytes 6 to 9 of device_public.
    ADD COLUMN max_message bigint NOT NULL GENERATED ALWAYS AS (
        (get_byte(device_public, 6)::bigint << 24) | (get_byte(device_public, 7) << 16)
        | (get_byte(device_public, 8) << 8) | get_byte(device_public, 9)) STORED;

ALTER TABLE av.inboxes
    -- Bytes of all messages that were ever put in.
    ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0 CHECK (received_bytes >= 0),
    -- Of those that wait, as of the last message or acknowledgement; expiry makes it less.
    ADD COLUMN waiting_bytes bigint NOT NULL DEFAULT 0 CHECK (waiting_bytes BETWEEN 0 AND received_bytes),
    -- When the newest message expires. None expires before an older one, whatever the clock does.
    ADD COLUMN expires_at timestamptz NOT NULL DEFAULT '-infinity';
-- Its row changes with every message: room for that in its page keeps the index out of it.
ALTER TABLE av.inboxes SET (fillfactor = 50);

ALTER TABLE av.messages RENAME TO old_messages;
ALTER TABLE av.old_messages RENAME CONSTRAINT messages_pkey TO old_messages_pkey;

CREATE TABLE av.messages (
    tenant_id    bytea NOT NULL,
    recipient    bytea NOT NULL,
    sequence     bigint NOT NULL CHECK (sequence > 0),
    sender       bytea NOT NULL,
    message_id   bytea NOT NULL CHECK (octet_length(message_id) = 16),
    header_blob  bytea NOT NULL,
    ciphertext   bytea NOT NULL,
    -- Of all messages put into this inbox before.
    bytes_before bigint NOT NULL CHECK (bytes_before >= 0),
    received_at  timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, recipient, sequence),
    FOREIGN KEY (tenant_id, recipient) REFERENCES av.inboxes,
    FOREIGN KEY (tenant_id, sender) REFERENCES av.devices
) PARTITION BY HASH (tenant_id);
-- Ciphertext does not compress; trying to costs time and gains nothing.
ALTER TABLE av.messages ALTER COLUMN header_blob SET STORAGE EXTERNAL;
ALTER TABLE av.messages ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
CREATE INDEX messages_by_expiry ON av.messages (expires_at);

-- A partition is a table of its own to whoever names it: it has the policy too, and nobody has a right to it.
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE av.messages_%s PARTITION OF av.messages
                        FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;

INSERT INTO av.messages (tenant_id, recipient, sequence, sender, message_id, header_blob, ciphertext,
                         bytes_before, received_at, expires_at)
SELECT e.tenant_id, e.device_id, e.sequence, m.sender, m.message_id, m.header_blob, m.ciphertext,
       coalesce(sum(octet_length(m.header_blob) + octet_length(m.ciphertext))
                    OVER (inbox ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0),
       m.received_at, max(m.received_at) OVER (inbox ROWS UNBOUNDED PRECEDING) + interval '30 days'
FROM av.inbox_entries e
JOIN av.old_messages m ON m.tenant_id = e.tenant_id AND m.sender = e.sender AND m.message_id = e.message_id
WINDOW inbox AS (PARTITION BY e.tenant_id, e.device_id ORDER BY e.sequence);

UPDATE av.inboxes i SET received_bytes = w.bytes, waiting_bytes = w.bytes, expires_at = w.expires_at
FROM (SELECT tenant_id, recipient, sum(octet_length(header_blob) + octet_length(ciphertext)) AS bytes,
             max(expires_at) AS expires_at
      FROM av.messages GROUP BY tenant_id, recipient) w
WHERE i.tenant_id = w.tenant_id AND i.device_id = w.recipient;

-- In the same numbers, but in a table of their own: what waits for a device and is no message.
DELETE FROM av.inbox_entries WHERE message_id IS NOT NULL;
ALTER TABLE av.inbox_entries
    DROP COLUMN sender,
    DROP COLUMN message_id,
    DROP CONSTRAINT IF EXISTS inbox_entries_one_content,
    ADD CONSTRAINT inbox_entries_one_content CHECK (num_nonnulls(serial, activated, recertified, key_used) = 1);
DROP TABLE av.old_messages;

ALTER TABLE av.message_receipts DROP CONSTRAINT message_receipts_state_check;
UPDATE av.message_receipts SET state = 'stored' WHERE state = 'accepted';
ALTER TABLE av.message_receipts
    -- A stored one whose content is past its time is expired, whether the janitor came by or not.
    ADD CONSTRAINT message_receipts_state_check CHECK (state IN ('stored', 'delivered', 'rejected')),
    -- Longer than any device repeats a message: from here on one would be delivered again.
    ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '35 days';
ALTER TABLE av.message_receipts ALTER COLUMN expires_at DROP DEFAULT;
-- Each row changes once, soon.
ALTER TABLE av.message_receipts SET (fillfactor = 60);
CREATE INDEX message_receipts_by_expiry ON av.message_receipts (expires_at);
ALTER TABLE av.conversations SET (fillfactor = 60);

ALTER TABLE av.inbox_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE av.inboxes FORCE ROW LEVEL SECURITY;
ALTER TABLE av.message_receipts FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT oid FROM pg_class
                WHERE relnamespace = 'av'::regnamespace AND (relname = 'messages' OR relispartition AND relkind = 'r')
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', part);
        EXECUTE format($policy$CREATE POLICY tenant ON %s
            USING (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
            WITH CHECK (tenant_id = (SELECT decode(nullif(current_setting('app.tenant_id', true), ''), 'hex')))
            $policy$, part);
    END LOOP;
END $$;
GRANT SELECT, INSERT, DELETE ON av.messages TO av_app;
