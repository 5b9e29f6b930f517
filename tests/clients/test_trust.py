"""Which certificates are trusted, by every client: shown by handshakes with a server of an authority of our own."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import keyfob.httpx
from keyfob.clients import issuer
from keyfob.clients.trust import trusted
from keyfob.credentials.exchange import Exchange, UnreachableError
from keyfob.errors import ConfigError

from ..homes import home as home  # noqa: TID252  # a fixture
from .raw import Authority, Raw, answers, http
from .ways import SYNC, Way, signing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..homes import Home  # noqa: TID252

NAMES = ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[Raw]:
    """It has a certificate of that authority."""
    with Raw(answers(http()), tls=authority.server()) as running:
        yield running


def accepted(way: Way, server: Raw, environ: Mapping[str, str], **options: Any) -> bool:
    """Whether the client that has this environment completes the handshake."""
    provider = signing(base_url=f"https://127.0.0.1:{server.port}/v1", environ=environ)
    made = way.ours.AsyncClient if way.backend else way.ours.Client
    with way._open(partial(made, provider, **options)) as client:
        try:
            return bool(client.get("models").status_code == 200)
        except way.http_library.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise
            return False


def roots(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


def bundle(folder: Path, text: bytes) -> dict[str, str]:
    """An environment that names a file with this text."""
    (folder / "bundle.pem").write_bytes(text)
    return {"CODEX_CA_CERTIFICATE": str(folder / "bundle.pem")}


class TestVariables:
    def test_an_unknown_authority_is_not_trusted(self, way: Way, server: Raw) -> None:
        """Nothing is sent."""
        assert not accepted(way, server, {})
        assert server.received == []

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    def test_the_file_that_one_names_is(self, way: Way, server: Raw, authority: Authority, name: str) -> None:
        """For every client."""
        assert accepted(way, server, {name: authority.file})

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    def test_the_same_holds_for_issuers(self, server: Raw, authority: Authority, name: str) -> None:
        """Their requests go by the same rule."""
        assert issuer.send(Exchange(server.url), {name: authority.file}).ok
        with pytest.raises(UnreachableError):
            issuer.send(Exchange(server.url), {})

    @pytest.mark.slow
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_codexs_own_goes_first(self, way: Way, server: Raw, authority: Authority, tmp_path: Path) -> None:
        """The other is not looked at then; empty is unset."""
        assert accepted(way, server, dict(zip(NAMES, (authority.file, "/no/such/file"), strict=True)))
        assert accepted(way, server, dict(zip(NAMES, ("", authority.file), strict=True)))
        other = Authority(tmp_path, "other.pem")
        assert not accepted(way, server, dict(zip(NAMES, (other.file, authority.file), strict=True)))
        assert not accepted(way, server, dict(zip(NAMES, ("", ""), strict=True)))

    @pytest.mark.parametrize("name", NAMES)
    def test_the_file_is_added_to_the_systems_roots_and_httpxs(self, authority: Authority, name: str) -> None:
        """It replaces none: who adds a company's authority still reaches everybody else."""
        found, before = roots(trusted({name: authority.file})), roots(trusted({}))
        assert before
        assert found == before | {ssl.PEM_cert_to_DER_cert(authority.text.decode())}

    @pytest.mark.slow
    def test_the_systems_roots_and_httpxs_are_trusted(self) -> None:
        """An administrator's too, as they are where OpenSSL looks for them."""
        import certifi

        system = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        system.load_verify_locations(cafile=certifi.where())
        paths = ssl.get_default_verify_paths()
        if Path(paths.openssl_cafile).is_file():
            system.load_verify_locations(cafile=paths.openssl_cafile)
        assert roots(trusted({})) >= roots(system)

    @pytest.mark.parametrize("way", SYNC, ids=str)
    @pytest.mark.parametrize("of_openssl", [True, False], ids=["where OpenSSL looks", "where the system keeps it"])
    def test_what_an_administrator_installs_is_trusted(
        self, way: Way, server: Raw, authority: Authority, monkeypatch: pytest.MonkeyPatch, of_openssl: bool
    ) -> None:
        """In OpenSSL's place, or where it was built to look elsewhere, in the system's."""
        trust = sys.modules["keyfob.clients.trust"]
        found = ssl.get_default_verify_paths()
        file = authority.file if of_openssl else "/no/such/file"
        monkeypatch.setattr(
            ssl, "get_default_verify_paths", lambda: found._replace(openssl_cafile=file, openssl_capath="/no/such")
        )
        monkeypatch.setattr(trust, "_SYSTEMS", () if of_openssl else (authority.file,))
        trust._made.cache_clear()
        assert accepted(way, server, {})
        trust._made.cache_clear()

    @pytest.mark.slow
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_a_folder_of_certificates_is_added_too(
        self, way: Way, server: Raw, authority: Authority, tmp_path: Path
    ) -> None:
        """As OpenSSL has it: each file is named by the hash of what it holds."""
        folder = tmp_path / "folder"
        folder.mkdir()
        said = subprocess.run(
            ["openssl", "x509", "-hash", "-noout", "-in", authority.file], capture_output=True, check=True, text=True
        )
        (folder / f"{said.stdout.strip()}.0").write_bytes(authority.text)
        assert accepted(way, server, {"SSL_CERT_DIR": f"/no/such/folder:{folder}"})
        with pytest.raises(ConfigError, match="SSL_CERT_DIR names /no/such/folder, which is no folder"):
            accepted(way, server, {"SSL_CERT_DIR": "/no/such/folder"})

    @pytest.mark.slow
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_the_environment_that_keyfob_was_given_counts(
        self, way: Way, server: Raw, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not that of the process, which holds no `.env`; and with `trust_env=False` none."""
        for name in NAMES:
            monkeypatch.setenv(name, authority.file)
        assert not accepted(way, server, {})
        monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
        assert accepted(way, server, {"SSL_CERT_FILE": authority.file})
        assert not accepted(way, server, {"SSL_CERT_FILE": authority.file}, trust_env=False)

    @pytest.mark.slow
    def test_dotenv_may_name_the_usual_variable_and_not_codexs(
        self, home: Home, server: Raw, authority: Authority
    ) -> None:
        """As with Codex, which takes no variable of its own from there."""
        import httpx

        home.environ = {"KEY": "secret"}
        text = f'[model_providers.x]\nbase_url = "https://127.0.0.1:{server.port}/v1"\nenv_key = "KEY"\n'
        home.write(f"CODEX_CA_CERTIFICATE={authority.file}\n", ".env")
        with keyfob.httpx.Client(home.provider(text)) as client, pytest.raises(httpx.ConnectError):
            client.get("models")
        home.write(f"SSL_CERT_FILE={authority.file}\n", ".env")
        with keyfob.httpx.Client(home.provider(text)) as client:
            assert client.get("models").status_code == 200


def revocations(authority: Authority) -> bytes:
    """A list of revoked certificates, as some bundles hold one."""
    issuer_of = x509.load_pem_x509_certificate(authority.text)
    key: Any = serialization.load_pem_private_key(authority.ca.private_key_pem.bytes(), None)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateRevocationListBuilder().issuer_name(issuer_of.subject).last_update(now)
    return made.next_update(now).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def labelled(authority: Authority) -> bytes:
    """The same certificate as OpenSSL's own form has it, with what it is trusted for."""
    command = ["openssl", "x509", "-in", authority.file, "-trustout", "-addtrust", "serverAuth"]
    return subprocess.run(command, capture_output=True, check=True).stdout


class TestBundles:
    @pytest.mark.slow
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_what_else_stands_in_the_file_is_passed_over(
        self, way: Way, server: Raw, authority: Authority, tmp_path: Path
    ) -> None:
        """Other certificates, words between them, a revocation list, a key; lines may end as on Windows."""
        other = Authority(tmp_path, "other.pem")
        for text in (
            other.text + authority.text,
            b"# Our authority\nsubject=CN = x\n" + authority.text + b"\nthat is all\n",
            revocations(authority) + authority.text + revocations(authority),
            authority.ca.private_key_pem.bytes() + authority.text,
            authority.text.replace(b"\n", b"\r\n"),
            labelled(authority),
        ):
            assert accepted(way, server, bundle(tmp_path, text)), text

    @pytest.mark.slow
    def test_an_intermediate_authority_is_enough(self, tmp_path: Path, authority: Authority) -> None:
        """Its root need not be named: who names it trusts it, as with Codex."""
        child = authority.ca.create_child_ca()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        child.issue_cert("127.0.0.1").configure_cert(context)
        with Raw(answers(http()), tls=context) as server:
            assert issuer.send(Exchange(server.url), bundle(tmp_path, child.cert_pem.bytes())).ok

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            (lambda a: b"", "holds no certificates in PEM form, or a damaged one"),
            (lambda a: b"\n\n", "holds no certificates in PEM form, or a damaged one"),
            (lambda a: b"certificates\n", "holds no certificates in PEM form, or a damaged one"),
            (lambda a: a.text + a.text[:200], "holds no certificates in PEM form, or a damaged one"),
            (lambda a: a.text.replace(b"M", b"!", 1), "holds no certificates in PEM form, or a damaged one"),
            (
                lambda a: ssl.PEM_cert_to_DER_cert(a.text.decode()),
                "holds no certificates in PEM form, or a damaged one",
            ),
            (lambda a: a.ca.private_key_pem.bytes(), "holds no certificates in PEM form, or a damaged one"),
            (revocations, "holds no certificates in PEM form, or a damaged one"),
        ],
        ids=["empty", "blank", "words", "cut off", "damaged", "DER", "a key", "revocations alone"],
    )
    @pytest.mark.parametrize("name", NAMES)
    def test_one_that_cannot_be_used_is_an_error_before_anything_is_sent(
        self, server: Raw, authority: Authority, tmp_path: Path, damage: Any, said: str, name: str
    ) -> None:
        """It names variable and file, for providers and issuers."""
        (file := tmp_path / "bundle.pem").write_bytes(damage(authority))
        for call in (
            lambda: issuer.send(Exchange(server.url), {name: str(file)}),
            *(partial(accepted, way, server, {name: str(file)}) for way in SYNC),
        ):
            with pytest.raises(ConfigError) as caught:
                call()
            assert str(caught.value) == f"{name} names {file}, which {said}"
            assert (caught.value.exit_code, f"unset {name}" in (caught.value.hint or "")) == (2, True)
        assert server.received == []

    @pytest.mark.parametrize(
        ("file", "said"),
        [
            ("/no/such/file", "cannot be read: No such file or directory"),
            ("", "cannot be read: Is a directory"),
            ("a\0b", "cannot be read: that is no path"),
            ("x" * 5000, "cannot be read: File name too long"),
        ],
        ids=["missing", "folder", "no path", "too long"],
    )
    def test_one_that_is_not_there_too(self, server: Raw, tmp_path: Path, file: str, said: str) -> None:
        """A folder goes into SSL_CERT_DIR."""
        file = file or str(tmp_path)
        with pytest.raises(ConfigError, match="SSL_CERT_FILE names ") as caught:
            issuer.send(Exchange(server.url), {"SSL_CERT_FILE": file})
        assert str(caught.value).endswith(said)

    @pytest.mark.skipif(not hasattr(__import__("os"), "geteuid"), reason="modes of files are POSIX")
    def test_one_that_is_not_ours_to_read(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root may read everything, so here the library is told that it may not."""

        def denied(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", denied)
        with pytest.raises(ConfigError, match=r"SSL_CERT_FILE names .*, which cannot be read: Permission denied"):
            trusted({"SSL_CERT_FILE": authority.file})


class TestContexts:
    @pytest.mark.slow
    def test_one_is_made_once_and_again_when_the_file_is_another(self, authority: Authority, tmp_path: Path) -> None:
        """Reading certificates takes longer than a request on this machine."""
        other = Authority(tmp_path, "other.pem")
        environ = bundle(tmp_path, other.text)
        before = trusted(environ)
        assert trusted(environ) is before
        bundle(tmp_path, authority.text + b"\n")
        assert roots(trusted(environ)) >= {ssl.PEM_cert_to_DER_cert(authority.text.decode())}

    @pytest.mark.slow
    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_where_the_system_alone_knows_its_roots_it_judges(
        self, server: Raw, authority: Authority, monkeypatch: pytest.MonkeyPatch, platform: str
    ) -> None:
        """Through truststore, which here takes Linux for it; what a variable names is added."""
        import truststore

        monkeypatch.setattr(sys, "platform", platform)
        trust = sys.modules["keyfob.clients.trust"]
        trust._made.cache_clear()
        try:
            context = trusted({"SSL_CERT_FILE": authority.file})
            assert isinstance(context, truststore.SSLContext)
            assert trusted({"SSL_CERT_FILE": authority.file}) is context
            assert issuer.send(Exchange(server.url), {"SSL_CERT_FILE": authority.file}).ok
        finally:
            trust._made.cache_clear()

    @pytest.mark.slow
    def test_http2_has_one_of_its_own(self) -> None:
        """A connection writes into it which protocols it speaks."""
        assert trusted({}) is not trusted({}, http2=True)

    def test_it_verifies(self) -> None:
        """Certificate and name."""
        context = trusted({})
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

    @pytest.mark.parametrize("verify", [True, False, "own"])
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_what_the_caller_says_of_verification_holds(
        self, way: Way, server: Raw, authority: Authority, verify: Any
    ) -> None:
        """True is the default; a context of the caller's, or False, is the caller's."""
        if verify == "own":
            verify = ssl.create_default_context(cafile=authority.file)
        assert accepted(way, server, {}, verify=verify) is (verify is not True)
        if verify is True:
            assert accepted(way, server, {"SSL_CERT_FILE": authority.file}, verify=True)

    @pytest.mark.slow
    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_a_clients_certificate_is_that_clients_alone(self, way: Way, authority: Authority, tmp_path: Path) -> None:
        """Beside what the environment says; no other client shows it."""
        environ = {"SSL_CERT_FILE": authority.file}
        with Raw(answers(http()), tls=authority.server(verify=True)) as server, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # both libraries want a context instead
            assert accepted(way, server, environ, cert=authority.client(tmp_path))
            with pytest.raises(way.http_library.TransportError):
                accepted(way, server, environ)
        assert len(server.received) == 1
