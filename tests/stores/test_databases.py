from contextlib import closing

import psycopg
import pytest

from labcore.kernel import EnvironmentFault
from labcore.lanes import DatabaseServer
from labcore.stores import create_database, database_name, drop_database, ping, place

# Nobody answers on port 1, and the password must never be shown.
NOWHERE = "postgresql://ann:s3cr%40t@127.0.0.1:1/db"


def test_a_database_is_fresh_named_for_its_purpose_and_gone_when_dropped(
    database_server: DatabaseServer,
):
    url = create_database(database_server.url, "Order Service!")
    assert database_name(url).startswith("labcore_order_service_")
    with closing(psycopg.connect(url)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (database_name(url),)
        drop_database(database_server.url, url)  # although somebody is connected
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    drop_database(database_server.url, url)


def test_a_copy_has_what_the_template_had(database_server: DatabaseServer, database_url: str):
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE stock (sku text PRIMARY KEY, left_over int)")
        connection.execute("INSERT INTO stock VALUES ('b', 1), ('a', 2)")
    copy = create_database(database_server.url, "copy", template=database_url)
    with psycopg.connect(copy) as connection:
        rows = connection.execute("SELECT sku, left_over FROM stock ORDER BY sku").fetchall()
    drop_database(database_server.url, copy)
    assert rows == [("a", 2), ("b", 1)]


def test_a_long_hint_does_not_hide_the_random_part(database_server: DatabaseServer):
    urls = [create_database(database_server.url, "x" * 200) for _ in range(2)]
    for url in urls:
        with psycopg.connect(url):
            drop_database(database_server.url, url)
    assert len(set(urls)) == 2


def test_only_databases_of_ours_are_dropped(database_server: DatabaseServer):
    with pytest.raises(EnvironmentFault, match="refusing to drop database 'postgres'"):
        drop_database(database_server.url, database_server.url)


def test_an_unreachable_server_is_named_in_one_line_without_its_password():
    with pytest.raises(EnvironmentFault) as fault:
        ping(NOWHERE)
    message = str(fault.value)
    assert message.startswith("no PostgreSQL at ann@127.0.0.1:1/db: ")
    assert "\n" not in message
    assert "s3cr" not in message
    assert fault.value.__cause__ is None  # the driver's error stays out of every traceback


def test_a_wrong_password_is_not_shown(database_server: DatabaseServer):
    wrong = database_server.url.replace("//labcore:", "//labcore:wr0ng")
    with pytest.raises(EnvironmentFault, match="password authentication failed") as fault:
        ping(wrong)
    assert "wr0ng" not in str(fault.value)


def test_a_role_that_may_not_create_databases_is_told(database_server: DatabaseServer):
    with psycopg.connect(database_server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE meek LOGIN PASSWORD 'meek'")
        try:
            meek = f"postgresql://meek:meek@{place(database_server.url).partition('@')[2]}"
            with pytest.raises(EnvironmentFault, match="may not create databases"):
                ping(meek)
            with pytest.raises(EnvironmentFault, match="permission denied to create database"):
                create_database(meek, "x")
        finally:
            connection.execute("DROP ROLE meek")


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "host=h password=hush", ""])
def test_another_kind_of_url_is_refused_unseen(url: str):
    with pytest.raises(EnvironmentFault, match="expected postgresql://") as fault:
        ping(url)
    assert "hush" not in str(fault.value)


def test_a_place_has_no_password():
    assert place(NOWHERE) == "ann@127.0.0.1:1/db"
    assert place("postgresql://host/db") == "host/db"
