from fastapi import FastAPI
from fastapi.testclient import TestClient
from footfall import FootfallMiddleware

app = FastAPI()
app.add_middleware(FootfallMiddleware, site="example.com")


def test_what_is_not_there() -> None:
    with TestClient(app) as client:
        assert client.get("/none").status_code == 404
