from flask import Flask
from footfall import FootfallWSGIMiddleware

app = Flask(__name__)
app.wsgi_app = FootfallWSGIMiddleware(app.wsgi_app, site="example.com")  # type: ignore[method-assign]
