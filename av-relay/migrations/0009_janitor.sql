-- av_janitor removes what expired, of every tenant, and can reach nothing else: not a row that has not expired, and
-- no content. It has no tenant; and should it name one, the restrictive policy still holds it to what expired.

GRANT USAGE ON SCHEMA av TO av_janitor;

CREATE POLICY expired ON av.messages TO av_janitor USING (expires_at < now());
CREATE POLICY only_expired ON av.messages AS RESTRICTIVE TO av_janitor USING (expires_at < now());
GRANT SELECT (tenant_id, recipient, sequence, expires_at), DELETE ON av.messages TO av_janitor;

CREATE POLICY expired ON av.message_receipts TO av_janitor USING (expires_at < now());
CREATE POLICY only_expired ON av.message_receipts AS RESTRICTIVE TO av_janitor USING (expires_at < now());
GRANT SELECT (tenant_id, sender, message_id, expires_at), DELETE ON av.message_receipts TO av_janitor;

-- An inbox whose newest message expired holds none.
CREATE POLICY expired ON av.inboxes TO av_janitor USING (expires_at < now());
CREATE POLICY only_expired ON av.inboxes AS RESTRICTIVE TO av_janitor USING (expires_at < now());
GRANT SELECT (tenant_id, device_id, waiting_bytes, expires_at), UPDATE (waiting_bytes) ON av.inboxes TO av_janitor;
