"""A real browser: a page as it is drawn, and everything that the browser complained of or asked for."""

import asyncio
import json
import re
import shutil
import subprocess

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def look(address, profile, width, script):
    """What a script finds on a page of this width in CSS pixels; and errors, and addresses asked for."""
    command = [
        shutil.which("chromium") or "chromium",
        *FLAGS,
        f"--user-data-dir={profile}",
        "--remote-debugging-port=0",
    ]
    browser = subprocess.Popen([*command, "about:blank"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        port = next(int(found[1]) for line in browser.stderr if (found := re.search(r"ws://127.0.0.1:(\d+)/", line)))
        return asyncio.run(_look(port, address, width, script))
    finally:
        browser.kill()
        browser.communicate()


async def _look(port, address, width, script):
    import aiohttp

    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as reply:
            target = next(one for one in await reply.json() if one["type"] == "page")
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = _Tab(socket)
            for domain in ("Page", "Runtime", "Network", "Log"):
                await tab.ask(f"{domain}.enable")
            shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            await tab.ask("Emulation.setDeviceMetricsOverride", **shape)
            await tab.ask("Page.navigate", url=address)
            await tab.until("Page.loadEventFired")
            found = await tab.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
            await tab.ask("Runtime.evaluate", expression="1")  # whatever was said before this has arrived
    events = tab.events
    errors = [
        one["params"]
        for one in events
        if one["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    ]
    asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    return found["result"].get("value"), errors, asked


class _Tab:
    def __init__(self, socket):
        self.events, self._socket, self._last = [], socket, 0

    async def ask(self, method, **given):
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": given})
        while True:
            said = await self._next()
            if said.get("id") == self._last:
                assert "result" in said, said
                return said["result"]

    async def until(self, event):
        while all(one["method"] != event for one in self.events):
            await self._next()

    async def _next(self):
        said = json.loads((await asyncio.wait_for(self._socket.receive(), 60)).data)
        if "method" in said:
            self.events.append(said)
        return said
