# What Microsoft's own tools say of T-SQL, without a server: the parser of SQL Server 2017 (ScriptDom), and the model of a
# database (DacFx), in which every name of a statement is looked up. They come with mssql-cli, for .NET.
# In: {"schema": [text], "statements": {name: text}, "alone": {name: text}}; out: {"faults": {name: [text]}}. What is `alone`
# is put into a model of its own.
import json
import os
import pathlib
import sys

import dotnetcore2
from clr_loader import get_coreclr
from pythonnet import set_runtime

folder = pathlib.Path(os.environ["SQLSERVER_MODEL"])
runtime = pathlib.Path(dotnetcore2.__file__).parent / "bin"
set_runtime(get_coreclr(runtime_config=str(folder / "runtimeconfig.json"), dotnet_root=str(runtime)))

import clr

sys.path.append(str(folder / "mssqlcli" / "mssqltoolsservice" / "bin"))
clr.AddReference("Microsoft.SqlServer.TransactSql.ScriptDom")
clr.AddReference("Microsoft.SqlServer.Dac.Extensions")

from Microsoft.SqlServer.Dac.Model import DacModelException, SqlServerVersion, TSqlModel, TSqlModelOptions
from Microsoft.SqlServer.TransactSql.ScriptDom import TSql140Parser
from System.IO import StringReader

asked = json.load(sys.stdin)
faults = {name: [] for part in ("statements", "alone") for name in asked[part]}


def parse(name, text):
    _, errors = TSql140Parser(True).Parse(StringReader(text))
    faults[name] += [f"{error.Line}:{error.Column} {error.Message}" for error in errors]


def bind(statements):
    model = TSqlModel(SqlServerVersion.Sql140, TSqlModelOptions())
    for text in asked["schema"]:
        model.AddObjects(text)
    for name, text in statements.items():
        if faults[name]:
            continue
        try:
            model.AddObjects(text)
        except DacModelException as error:
            faults[name].append(str(error.Message))
    for message in model.Validate():
        named = [name for name in statements if f"[dbo].[{name}]" in message.Message]
        faults[named[0] if named else next(iter(statements))].append(message.Message)


for part in ("statements", "alone"):
    for name, text in asked[part].items():
        parse(name, text)
bind(asked["statements"])
for name, text in asked["alone"].items():
    bind({name: text})
json.dump({"faults": faults}, sys.stdout)
