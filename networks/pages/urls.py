"""The addresses of the console."""

from django.urls import path, re_path

from .views import account, attachments, containers, images, inside, log_stream, networks, overview, session, work

VERBS = r"(?P<verb>start|stop|restart|kill)"

urlpatterns = [
    path("", overview.dashboard, name="dashboard"),
    path("sign-in/", session.sign_in, name="login"),
    path("sign-out/", session.sign_out, name="logout"),
    path("networks/", networks.index, name="networks"),
    path("networks/new/", networks.create, name="network-new"),
    path("networks/<str:reference>/", networks.detail, name="network"),
    path("networks/<str:reference>/labels/", networks.edit, name="network-edit"),
    path("networks/<str:reference>/remove/", networks.delete, name="network-remove"),
    path("containers/", containers.index, name="containers"),
    path("containers/new/", containers.create, name="container-new"),
    path("containers/bulk/", containers.bulk, name="containers-bulk"),
    path("containers/<str:reference>/", containers.detail, name="container"),
    re_path(rf"^containers/(?P<reference>[^/]+)/do/{VERBS}/$", containers.act, name="container-act"),
    path("containers/<str:reference>/remove/", containers.remove, name="container-remove"),
    path("containers/<str:reference>/rename/", containers.rename, name="container-rename"),
    path("containers/<str:reference>/connect/", attachments.connect, name="container-connect"),
    path("containers/<str:reference>/disconnect/<str:network>/", attachments.disconnect, name="container-disconnect"),
    path("containers/<str:reference>/publish/", attachments.publish, name="container-publish"),
    path("containers/<str:reference>/unpublish/<str:port_id>/", attachments.unpublish, name="container-unpublish"),
    path("containers/<str:reference>/link/", attachments.link, name="container-link"),
    path("containers/<str:reference>/unlink/<str:link_id>/", attachments.unlink, name="container-unlink"),
    path("containers/<str:reference>/exec/", inside.execute, name="container-exec"),
    path("containers/<str:reference>/commit/", inside.commit, name="container-commit"),
    path("containers/<str:reference>/log/", log_stream.follow, name="container-log"),
    path("images/", images.index, name="images"),
    path("images/add/", images.add, name="image-add"),
    path("images/<path:name>/remove/", images.remove, name="image-remove"),
    path("topology/", overview.topology, name="topology"),
    path("firewall/", overview.firewall, name="firewall"),
    path("files/", overview.files, name="files"),
    path("operations/", work.operations, name="operations"),
    path("operations/<str:reference>/", work.operation, name="operation"),
    path("operations/<str:reference>/repair/", work.retry, name="operation-retry"),
    path("activity/", work.activity, name="activity"),
    path("drift/", work.drift, name="drift"),
    path("drift/repair/", work.repair, name="drift-repair"),
    path("drift/look/", work.look, name="drift-look"),
    path("host/", account.host, name="host"),
    path("tokens/", account.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke/", account.revoke, name="token-revoke"),
    path("users/", account.users, name="users"),
    path("users/<str:name>/", account.user, name="user"),
    path("settings/", account.preferences, name="preferences"),
    path("settings/look/", account.look, name="look"),
]
