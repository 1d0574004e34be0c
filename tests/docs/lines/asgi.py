from fastapi import FastAPI
from footfall import FootfallMiddleware

app = FastAPI()
app.add_middleware(FootfallMiddleware, site="example.com")
