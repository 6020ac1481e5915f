-- Messages and receipts are only ever written from a join with the devices that they name, and devices are never
-- deleted: checking that once more took more than a third of the time to store a message. A message still cannot be
-- in an inbox that is not there.
ALTER TABLE av.messages DROP CONSTRAINT messages_tenant_id_sender_fkey1;
ALTER TABLE av.message_receipts
    DROP CONSTRAINT message_receipts_tenant_id_sender_fkey,
    DROP CONSTRAINT message_receipts_tenant_id_recipient_fkey;
