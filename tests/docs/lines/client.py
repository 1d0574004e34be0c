from footfall import Client


async def main() -> None:
    async with Client("https://footfall.example.com", "TOKEN", "example.com") as client:
        client.count("/checkout", referrer="https://news.example.org/", user_agent="Mozilla/5.0 …", ip="203.0.113.7")
