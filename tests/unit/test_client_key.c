/* client_key and client_table: which addresses are one client, and how many connections each has. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nginx/client_key.h"
#include "nginx/client_table.h"

static uint64_t key_of(const char *text)
{
	uint64_t key = UINT64_MAX;
	assert_true(client_key_read(slice_of(text), &key));
	return key;
}

static void test_an_ipv4_address_is_a_client(void **state)
{
	(void)state;
	assert_int_equal(key_of("192.0.2.1"), 0xc0000201);
	assert_int_not_equal(key_of("192.0.2.1"), key_of("192.0.2.2"));
	assert_int_equal(key_of("::ffff:192.0.2.1"), key_of("192.0.2.1"));
}

static void test_an_ipv6_network_is_a_client(void **state)
{
	(void)state;
	assert_true(key_of("2001:db8:0:1::1") == key_of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
	assert_true(key_of("2001:db8:0:1::1") != key_of("2001:db8:0:2::1"));
	assert_true(key_of("2001:db8::1") == UINT64_C(0x20010db800000000));
}

static void test_what_is_no_address_is_none(void **state)
{
	static const char *const WRONG[] = { "", "unix:", "192.0.2", "192.0.2.256", "2001:db8", "x", "192.0.2.1 ", "fe80::1%eth0",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc" };
	uint64_t key;
	(void)state;
	for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
		assert_false(client_key_read(slice_of(WRONG[i]), &key));
}

static void test_a_socket_address_is_the_same_client_as_its_text(void **state)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = 80 };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr other = { .sa_family = AF_UNIX };
	uint64_t key;
	(void)state;
	inet_pton(AF_INET, "198.51.100.7", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8:1:2:3::4", &v6.sin6_addr);
	assert_true(client_key_of((struct sockaddr *)&v4, &key) && key == key_of("198.51.100.7"));
	assert_true(client_key_of((struct sockaddr *)&v6, &key) && key == key_of("2001:db8:1:2::"));
	assert_false(client_key_of(&other, &key));
}

static void test_each_client_is_counted_by_itself(void **state)
{
	struct client_table *table = client_table_create(4);
	(void)state;
	assert_non_null(table);
	client_table_add(table, 7);
	client_table_add(table, 7);
	client_table_add(table, 0);
	assert_int_equal(client_table_count(table, 7), 2);
	assert_int_equal(client_table_count(table, 0), 1);
	assert_int_equal(client_table_count(table, 8), 0);
	client_table_remove(table, 7);
	client_table_remove(table, 8);
	assert_int_equal(client_table_count(table, 7), 1);
	client_table_remove(table, 7);
	client_table_remove(table, 7);
	assert_int_equal(client_table_count(table, 7), 0);
	client_table_destroy(table);
}

#define CLIENTS 300
#define STEPS 200000

/* Against a plain array, with as many clients as it takes, which come and go. */
static void test_clients_come_and_go(void **state)
{
	static uint32_t expected[CLIENTS];
	struct client_table *table = client_table_create(CLIENTS);
	uint64_t random = 1;
	(void)state;
	assert_non_null(table);
	for (int step = 0; step < STEPS; step++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t key = (random >> 33) % CLIENTS;
		if (expected[key] < 3 && (random >> 20 & 1) != 0) {
			client_table_add(table, key << 20);
			expected[key]++;
		} else if (expected[key] > 0) {
			client_table_remove(table, key << 20);
			expected[key]--;
		}
		if (step % 1000 == 0)
			for (uint64_t i = 0; i < CLIENTS; i++)
				assert_int_equal(client_table_count(table, i << 20), expected[i]);
	}
	client_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ipv4_address_is_a_client),
		cmocka_unit_test(test_an_ipv6_network_is_a_client),
		cmocka_unit_test(test_what_is_no_address_is_none),
		cmocka_unit_test(test_a_socket_address_is_the_same_client_as_its_text),
		cmocka_unit_test(test_each_client_is_counted_by_itself),
		cmocka_unit_test(test_clients_come_and_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
