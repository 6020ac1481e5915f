use super::{MIGRATIONS, apply_missing};
use crate::store::{Endpoint, OWNER_ROLE, connect};
use crate::testing::TestCluster;

/// A tenant with two messages in one inbox, behind an acknowledged number, and one in another, as before migration 8.
const OLD_ROWS: &str = "
    ALTER TABLE av.tenants DISABLE ROW LEVEL SECURITY; ALTER TABLE av.users DISABLE ROW LEVEL SECURITY;
    ALTER TABLE av.devices DISABLE ROW LEVEL SECURITY; ALTER TABLE av.inboxes DISABLE ROW LEVEL SECURITY;
    ALTER TABLE av.messages DISABLE ROW LEVEL SECURITY; ALTER TABLE av.inbox_entries DISABLE ROW LEVEL SECURITY;
    ALTER TABLE av.message_receipts DISABLE ROW LEVEL SECURITY;
    INSERT INTO av.tenants (tenant_id, root_key) VALUES (decode(repeat('01', 16), 'hex'), decode(repeat('01', 32), 'hex'));
    INSERT INTO av.users (tenant_id, user_id) SELECT tenant_id, tenant_id FROM av.tenants;
    INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, chain)
    SELECT tenant_id, decode(repeat(id, 16), 'hex'), tenant_id,
           '\\x010100000001' || '\\x00004000'::bytea || decode(repeat('00', 64), 'hex'), 'active', ''
    FROM av.tenants, unnest(ARRAY['0a', '0b']) AS id;
    INSERT INTO av.inboxes (tenant_id, device_id, epoch, next_sequence, acknowledged)
    SELECT tenant_id, device_id, tenant_id, 5, 2 FROM av.devices;
    INSERT INTO av.messages (tenant_id, sender, message_id, recipient, header_blob, ciphertext)
    SELECT tenant_id, device_id, decode(repeat(id, 16), 'hex'), device_id, '', decode(repeat('ff', n), 'hex')
    FROM av.devices, (VALUES ('01', 100), ('02', 1000)) AS m (id, n) WHERE device_id = decode(repeat('0a', 16), 'hex');
    INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, sender, message_id)
    SELECT tenant_id, recipient, 2 + get_byte(message_id, 0), sender, message_id FROM av.messages;
    INSERT INTO av.message_receipts (tenant_id, sender, message_id, recipient, state)
    SELECT tenant_id, sender, message_id, recipient, 'accepted' FROM av.messages;
    ALTER TABLE av.tenants ENABLE ROW LEVEL SECURITY; ALTER TABLE av.users ENABLE ROW LEVEL SECURITY;
    ALTER TABLE av.devices ENABLE ROW LEVEL SECURITY; ALTER TABLE av.inboxes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE av.messages ENABLE ROW LEVEL SECURITY; ALTER TABLE av.inbox_entries ENABLE ROW LEVEL SECURITY;
    ALTER TABLE av.message_receipts ENABLE ROW LEVEL SECURITY";

async fn owner(endpoint: &Endpoint) -> tokio_postgres::Client {
    connect(&endpoint.login(OWNER_ROLE).unwrap()).await.unwrap()
}

#[tokio::test]
async fn messages_that_wait_are_there_after_the_migration_to_partitions() {
    let cluster = TestCluster::start();
    let mut client = owner(&cluster.endpoint).await;
    let (old, _) = MIGRATIONS.split_at(7);
    apply_missing(&mut client, old).await.unwrap();
    client.batch_execute(OLD_ROWS).await.unwrap();
    apply_missing(&mut client, &MIGRATIONS).await.unwrap();

    client.batch_execute(&format!("SET app.tenant_id = '{}'", "01".repeat(16))).await.unwrap();
    let messages =
        "SELECT sequence, octet_length(ciphertext), bytes_before, expires_at > now() + interval '29 days'
                    FROM av.messages ORDER BY sequence";
    let messages: Vec<(i64, i32, i64, bool)> = client
        .query(messages, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    assert_eq!(messages, [(3, 100, 0, true), (4, 1_000, 100, true)]);
    let inboxes = "SELECT received_bytes, waiting_bytes, d.max_message
                   FROM av.inboxes JOIN av.devices d USING (tenant_id, device_id) ORDER BY device_id";
    let inboxes: Vec<(i64, i64, i64)> = client
        .query(inboxes, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!(inboxes, [(1_100, 1_100, 16_384), (0, 0, 16_384)]);
    let stored = "SELECT count(*) FROM av.message_receipts WHERE state = 'stored' AND expires_at > now()";
    assert_eq!(client.query_one(stored, &[]).await.unwrap().get::<_, i64>(0), 2);
}
