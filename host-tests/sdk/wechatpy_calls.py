"""What an application does that was written with wechatpy, through the door."""

import io
import json
import os
import urllib.request

from wechatpy import WeChatClient

DOOR = os.environ["DOOR"]


class Client(WeChatClient):
    """wechatpy has its base URL in an attribute, and the URL of the login in a method."""

    API_BASE_URL = DOOR + "/cgi-bin/"
    logins = 0

    def fetch_access_token(self):
        self.logins += 1
        return self._fetch_access_token(
            url=self.API_BASE_URL + "token",
            params={"grant_type": "client_credential", "appid": self.appid, "secret": self.secret},
        )


def between():
    """Whatever the test wants to happen between two calls."""
    url = os.environ.get("BETWEEN")
    if url:
        body = os.environ["BETWEEN_BODY"].encode()
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()


def calls(client, openid, number):
    """Everything once; what came back."""
    ips = client.misc.get_wechat_ips()
    assert ips and all(isinstance(ip, str) for ip in ips), ips
    between()
    ticket = client.jsapi.get_ticket("jsapi")
    assert ticket["ticket"] and 0 < ticket["expires_in"] <= 7200, ticket
    between()
    sent = client.message.send_template(
        openid, "T1", {"thing1": {"value": f"你好 {number}"}}, url="https://example.com/a?b=c&d"
    )
    assert sent["errcode"] == 0 and sent["msgid"], sent
    between()
    picture = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 200
    media = client.media.upload("image", ("一.jpg", io.BytesIO(picture), "image/jpeg"))
    assert media["media_id"] and media["type"] == "image", media
    between()
    fetched = client.media.download(media["media_id"])
    assert fetched.content == picture, len(fetched.content)
    between()
    menu = {"button": [{"type": "click", "name": "今日", "key": f"k{number}"}]}
    assert client.menu.create(menu)["errcode"] == 0
    between()
    button = client.menu.get()["menu"]["button"][0]
    assert (button["name"], button["key"]) == ("今日", f"k{number}"), button
    between()
    assert client.menu.delete()["errcode"] == 0
    between()
    user = client.user.get(openid)
    assert user["openid"] == openid and user["subscribe"] == 1, user
    between()
    text = client.message.send_text(openid, f"in short: {number}")
    assert text["errcode"] == 0, text
    between()
    return sent["msgid"]


def main():
    client = Client(os.environ["APPID"], os.environ["KEY"])
    rounds = int(os.environ.get("ROUNDS", "1"))
    msgids = [str(calls(client, os.environ["OPENID"], number)) for number in range(rounds)]
    print(json.dumps({"sdk": "wechatpy", "rounds": rounds, "logins": client.logins, "msgids": msgids}))


main()
