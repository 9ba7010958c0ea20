"""The protobuf messages of Flight and Flight SQL, declared by ourselves in a private pool.

A generated module would register its files in protobuf's default pool and collide with any other
copy in the process; a private pool collides with nobody and is compatible on the wire. Enumerations
are declared as int32, which reads and writes the same bytes. Only what is sent or read is declared.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

TYPE_PREFIX = "type.googleapis.com/"
SQL_PACKAGE = "arrow.flight.protocol.sql"
FLIGHT_PACKAGE = "arrow.flight.protocol"

# One line per message: its name, then `number[?*] type name` for each field.
# `?` keeps presence, `*` repeats.
_SQL_MESSAGES = """
CommandGetSqlInfo: 1* uint32 info
CommandGetXdbcTypeInfo: 1? int32 data_type
CommandGetCatalogs:
CommandGetDbSchemas: 1? string catalog, 2? string db_schema_filter_pattern
CommandGetTables: 1? string catalog, 2? string db_schema_filter_pattern, \
3? string table_name_filter_pattern, 4* string table_types, 5 bool include_schema
CommandGetTableTypes:
CommandGetPrimaryKeys: 1? string catalog, 2? string db_schema, 3 string table
CommandGetExportedKeys: 1? string catalog, 2? string db_schema, 3 string table
CommandGetImportedKeys: 1? string catalog, 2? string db_schema, 3 string table
CommandGetCrossReference: 1? string pk_catalog, 2? string pk_db_schema, 3 string pk_table, \
4? string fk_catalog, 5? string fk_db_schema, 6 string fk_table
ActionCreatePreparedStatementRequest: 1 string query, 2? bytes transaction_id
SubstraitPlan: 1 bytes plan, 2 string version
ActionCreatePreparedSubstraitPlanRequest: 1 SubstraitPlan plan, 2? bytes transaction_id
ActionCreatePreparedStatementResult: 1 bytes prepared_statement_handle, 2 bytes dataset_schema, \
3 bytes parameter_schema, 4? bool is_update
ActionClosePreparedStatementRequest: 1 bytes prepared_statement_handle
ActionBeginTransactionRequest:
ActionBeginSavepointRequest: 1 bytes transaction_id, 2 string name
ActionEndTransactionRequest: 1 bytes transaction_id, 2 int32 action
ActionEndSavepointRequest: 1 bytes savepoint_id, 2 int32 action
CommandStatementQuery: 1 string query, 2? bytes transaction_id
CommandStatementSubstraitPlan: 1 SubstraitPlan plan, 2? bytes transaction_id
TicketStatementQuery: 1 bytes statement_handle
CommandPreparedStatementQuery: 1 bytes prepared_statement_handle
CommandStatementUpdate: 1 string query, 2? bytes transaction_id
CommandPreparedStatementUpdate: 1 bytes prepared_statement_handle
TableDefinitionOptions: 1 int32 if_not_exist, 2 int32 if_exists
CommandStatementIngest: 1 TableDefinitionOptions table_definition_options, 2 string table, \
3? string schema, 4? string catalog, 5 bool temporary, 6? bytes transaction_id, \
1000* IngestOption options
IngestOption: 1 string key, 2 string value
DoPutUpdateResult: 1 int64 record_count
DoPutPreparedStatementResult: 1? bytes prepared_statement_handle
ActionCancelQueryRequest: 1 bytes info
ActionCancelQueryResult: 1 int32 result
"""

_FLIGHT_MESSAGES = """
Ticket: 1 bytes ticket
Location: 1 string uri
Timestamp: 1 int64 seconds, 2 int32 nanos
FlightEndpoint: 1 Ticket ticket, 2* Location location, 3 Timestamp expiration_time, \
4 bytes app_metadata
FlightInfo: 1 bytes schema, 3* FlightEndpoint endpoint
CancelFlightInfoRequest: 1 FlightInfo info
CancelFlightInfoResult: 1 int32 status
RenewFlightEndpointRequest: 1 FlightEndpoint endpoint
CloseSessionResult: 1 int32 status
StringListValue: 1* string values
SessionOptionValue: 1? string string_value, 2? bool bool_value, 3? sfixed64 int64_value, \
4? double double_value, 5? StringListValue string_list_value
SessionOptionEntry: 1 string key, 2 SessionOptionValue value
SetSessionOptionsRequest: 1* SessionOptionEntry session_options
OptionError: 1 int32 value
OptionErrorEntry: 1 string key, 2 OptionError value
SetSessionOptionsResult: 1* OptionErrorEntry errors
GetSessionOptionsResult: 1* SessionOptionEntry session_options
"""

_RPC_MESSAGES = """
Status: 1 int32 code, 2 string message, 3* .google.protobuf.Any details
ErrorInfo: 1 string reason, 2 string domain, 3* MetadataEntry metadata
MetadataEntry: 1 string key, 2 string value
"""

_ANY_MESSAGES = """
Any: 1 string type_url, 2 bytes value
"""


def _declare(package: str, text: str, *imports: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the file descriptor that the compact table describes."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"flight_sql/{package}.proto", package=package, syntax="proto3", dependency=imports
    )
    for line in text.strip().splitlines():
        name, _, fields = line.partition(":")
        declared = file.message_type.add(name=name)
        for field in filter(None, (part.strip() for part in fields.split(","))):
            _declare_field(declared, package, *field.split())
    return file


def _declare_field(
    declared: descriptor_pb2.DescriptorProto, package: str, number: str, kind: str, name: str
) -> None:
    """Add one `number[?*] type name` to a message."""
    numbers = descriptor_pb2.FieldDescriptorProto
    field = declared.field.add(name=name, number=int(number.rstrip("?*")))
    field.label = numbers.LABEL_REPEATED if number.endswith("*") else numbers.LABEL_OPTIONAL
    if kind[0].islower():
        field.type = numbers.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = numbers.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{package}.{kind}"
    if number.endswith("?"):
        field.proto3_optional = True
        field.oneof_index = len(declared.oneof_decl)
        declared.oneof_decl.add(name=f"_{name}")


def _load() -> dict[str, Any]:
    """Return every message class by its full name."""
    pool = descriptor_pool.DescriptorPool()
    any_file = _declare("google.protobuf", _ANY_MESSAGES)
    files = (
        any_file,
        _declare("google.rpc", _RPC_MESSAGES, any_file.name),
        _declare(FLIGHT_PACKAGE, _FLIGHT_MESSAGES),
        _declare(SQL_PACKAGE, _SQL_MESSAGES),
    )
    classes: dict[str, Any] = {}
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
        for declared in file.message_type:
            full_name = f"{file.package}.{declared.name}"
            found = pool.FindMessageTypeByName(full_name)
            classes[full_name] = message_factory.GetMessageClass(found)
    return classes


MESSAGE_CLASSES = _load()
ANY = MESSAGE_CLASSES["google.protobuf.Any"]


def status_details(code: int, text: str, *, reason: str, metadata: dict[str, str]) -> bytes:
    """Return a serialized google.rpc.Status with one ErrorInfo."""
    entry = MESSAGE_CLASSES["google.rpc.MetadataEntry"]
    info = MESSAGE_CLASSES["google.rpc.ErrorInfo"](
        reason=reason,
        domain="flight-mom",
        metadata=[entry(key=key, value=value) for key, value in metadata.items()],
    )
    wrapped = ANY(type_url=f"{TYPE_PREFIX}google.rpc.ErrorInfo", value=info.SerializeToString())
    status = MESSAGE_CLASSES["google.rpc.Status"](code=code, message=text, details=[wrapped])
    data: bytes = status.SerializeToString()
    return data


def read_status_details(data: bytes) -> dict[str, str]:
    """Return the metadata of the ErrorInfo in a google.rpc.Status; empty when there is none."""
    status = MESSAGE_CLASSES["google.rpc.Status"]()
    info = MESSAGE_CLASSES["google.rpc.ErrorInfo"]()
    try:
        status.ParseFromString(data)
        for detail in status.details:
            if detail.type_url.endswith("/google.rpc.ErrorInfo"):
                info.ParseFromString(detail.value)
    except message.DecodeError:
        return {}
    return {entry.key: entry.value for entry in info.metadata}
