"""The wheel carries all it needs: installed alone, outside the checkout, it serves a login page."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"

SERVES_A_LOGIN_PAGE = """
import sys
from pathlib import Path

import idp
from idp.settings import load
from idp.store.schema import upgrade

folder = Path(sys.argv[1])
assert "site-packages" in idp.__file__, idp.__file__
secret_key = "a secret key that only this test knows, 98765"
environ = {"IDP_ISSUER": "http://localhost:8000", "IDP_SECRET_KEY": secret_key}
settings = load(None, {**environ, "IDP_DATABASE__URL": f"sqlite:///{folder}/idp.db"})
upgrade(settings.database.url)
app = idp.create_app(settings)
services = app.extensions["idp"]
with app.app_context():
    services.signing_keys.ensure()
    client, _ = services.clients.add(
        client_id="app",
        client_name="App",
        application_type="web",
        redirect_uris=["https://app.example/callback"],
        session_activity="none",
        first_party=True,
    )
browser = app.test_client()
query = "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&response_type=code&scope=openid"
challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
begun = browser.get(f"/authorize?{query}&code_challenge={challenge}&code_challenge_method=S256")
assert begun.status_code == 303, begun.text
page = browser.get(begun.headers["Location"])
assert page.status_code == 200 and 'id="login-submit"' in page.text, page.text
style = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
assert browser.get(style).status_code == 200
print("served")
"""

SERVES_THE_KIT = """
import importlib.util

import idp_kit
from flask import Flask

assert "site-packages" in idp_kit.__file__, idp_kit.__file__
assert importlib.util.find_spec("idp") is None, "the kit stands alone"
config = idp_kit.KitConfig("http://127.0.0.1:9", "app", "secret", "http://127.0.0.1:8001", "key")
kit = idp_kit.SessionKit(Flask(__name__), config)
browser = kit.app.test_client()
for name in ("session.js", "session.css"):
    assert browser.get(f"/session/{name}").status_code == 200, name
assert browser.get("/login").status_code == 503, "no provider here"
kit.close()
print("served")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [UV, "build", "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "UV_PYTHON": sys.executable})
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_in_an_empty_environment_serves_a_login_page(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([UV, "venv", "--python", sys.executable, environment], check=True, capture_output=True)
    python = environment / "bin" / "python"
    subprocess.run([UV, "pip", "install", "--python", python, wheel], check=True, capture_output=True)
    command = [python, "-c", SERVES_A_LOGIN_PAGE, tmp_path]
    environ = {"HOME": str(tmp_path)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, env=environ)
    assert run.stdout.strip() == "served", run.stderr


def test_wheel_installs_the_command(wheel: Path, tmp_path: Path) -> None:
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", wheel], check=True, capture_output=True, text=True)
    for carried in (
        "idp/templates/base.html",
        "idp/migrations/env.py",
        "idp/config/default.toml",
        "idp/web/static/idp.css",
        "idp/translations/nl/LC_MESSAGES/messages.mo",
    ):
        assert carried in listing.stdout, carried
    assert "tests/" not in listing.stdout


def test_wheel_neither_carries_nor_needs_the_kit_except_for_the_demonstration(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "idp_kit" in name or "clients/" in name]
        (described,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        needs = [line for line in archive.read(described).decode().splitlines() if line.startswith("Requires-Dist: ")]
    assert [line.partition(";")[2].strip() for line in needs if "idp-kit" in line] == ["extra == 'demo'"]


def test_wheel_of_the_kit_installed_alone_serves_its_script_and_a_login(tmp_path: Path) -> None:
    command = [UV, "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path, ROOT / "clients" / "python"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "UV_PYTHON": sys.executable})
    (built,) = tmp_path.glob("idp_kit-*.whl")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([UV, "venv", "--python", sys.executable, tmp_path / "venv"], check=True, capture_output=True)
    subprocess.run([UV, "pip", "install", "--python", python, built], check=True, capture_output=True)
    run = subprocess.run(
        [python, "-c", SERVES_THE_KIT], capture_output=True, text=True, cwd=tmp_path, env={"HOME": str(tmp_path)}
    )
    assert run.stdout.strip() == "served", run.stderr
