"""What a word means to a database, as one letter: the alphabet in which shapes of SQL are written down.

a  and, or, xor, && ||        b  null, true, current_user      B  order, group (before by)
c  comment up to the end      C  case                          d  full stop
D  declare                    e  comparison symbol             f  known function before a parenthesis
F  from                       G  comma                         H  head of another statement
    h  such a head that code and prose use too              m  in, is, between
i  if, while                  I  into                          k  any other keyword
l  comparison by word (like)  L  opening parenthesis           n  number
o  arithmetic or other symbol p  function that waits           Q  end of the literal that the text began in
R  closing parenthesis        s  string                        S  select
t  not, !                     T  waitfor                       u  string without an end
U  union, intersect, except   v  variable or placeholder       V  having
w  any other word             W  where                         x  function whose failure tells, or that sends
X  exec                       y  table of the database itself  Y  by
z  procedure of the system    Z  semicolon                     A  all, distinct
O  set                        K  values
"""

from __future__ import annotations

from typing import Final

_CLASSES: Final = {
    "a": "and or xor",
    "b": "null true false current_user session_user system_user current_date current_timestamp",
    "B": "order group partition",
    "C": "case",
    "D": "declare",
    "F": "from",
    "H": (
        "insert update delete drop truncate alter create grant revoke merge backup restore "
        "shutdown pragma dbcc "
        "reconfigure"
    ),
    "h": "replace call copy load kill rename attach use show handler begin commit rollback with do prepare",
    "i": "if while",
    "I": "into",
    "k": (
        "as on using join inner outer left right full cross natural limit offset fetch top when "
        "then else end exists "
        "escape asc desc over rows range preceding following unbounded lateral tablesample pivot "
        "unpivot qualify "
        "window returning nulls first last interval collate table database schema view index "
        "column procedure "
        "function trigger outfile dumpfile immediate master dual default primary key references "
        "constraint unique "
        "nologin cascade add modify change column only next row percent ties sets grouping "
        "recursive materialized "
        "temporary temp straight_join semi anti asof at zone for of within filter ignore respect "
        "array struct any "
        "some cluster distribute sort cube rollup fields terminated lines starting delay time to "
        "output purge ordinality"
    ),
    "l": "like rlike regexp sounds glob similar ilike isnull notnull match binary div mod",
    "m": "in is between",
    "O": "set",
    "K": "values value",
    "S": "select",
    "t": "not",
    "T": "waitfor",
    "U": "union intersect except minus",
    "V": "having",
    "W": "where",
    "X": "exec execute",
    "Y": "by",
    "A": "all distinct distinctrow unique",
    "y": (
        "information_schema sysobjects syscolumns sysusers sysdatabases sysxlogins syslogins "
        "all_tables all_users "
        "all_tab_columns user_tables user_tab_columns user_objects dba_users dba_role_privs sqlite_master "
        "sqlite_schema pg_catalog pg_shadow pg_user pg_tables pg_database pg_class "
        "msysaccessobjects v$version "
        "sysibm syscat rdb$database sys_privs session_privs all_objects msysobjects"
    ),
    "z": (
        "xp_cmdshell xp_regread xp_regwrite xp_dirtree xp_fileexist xp_servicecontrol "
        "xp_regdeletekey xp_enumgroups "
        "xp_availablemedia xp_makecab xp_regaddmultistring xp_loginconfig xp_ntsec "
        "xp_terminate_process xp_filelist "
        "sp_oacreate sp_oamethod sp_makewebtask sp_addextendedproc sp_configure sp_addlogin "
        "sp_addsrvrolemember "
        "dbms_pipe dbms_lock dbms_session dbms_ldap dbms_xmlgen utl_inaddr utl_http utl_file ctxsys "
        "sp_password sp_executesql openrowset opendatasource openquery sp_add_job sp_adduser "
        "sp_execute_external_script"
    ),
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


WORDS: Final[dict[str, str]] = {word: letter for letter, words in _CLASSES.items() for word in words.split()}

WAITS: Final = _set("sleep pg_sleep pg_sleep_for pg_sleep_until benchmark randomblob receive_message")
TELLS: Final = _set(
    "extractvalue updatexml get_host_address get_host_name load_file pg_read_file pg_ls_dir "
    "lo_import lo_export "
    "dblink dblink_exec xmltype httpuritype load_extension sys_exec sys_eval "
    "writefile readfile query_to_xml drithsx pg_read_binary_file fts3_tokenizer name_const"
)
FUNCTIONS: Final = _set(
    "ascii char chr chrw ord bin hex unhex conv concat concat_ws group_concat string_agg "
    "substring substr mid left "
    "right length len char_length count min max sum avg cast convert version user database "
    "schema system_user db_name "
    "user_name suser_sname host_name if ifnull iif isnull nullif coalesce nvl decode greatest "
    "least elt make_set "
    "export_set floor rand round exp log pow power sqrt pi sin cos tan abs ceil sign mod md5 "
    "sha1 sha2 password "
    "encode compress uncompress aes_encrypt aes_decrypt des_encrypt des_decrypt lower upper "
    "lcase ucase trim ltrim "
    "rtrim reverse repeat replace instr locate position strcmp soundex space lpad rpad bit_and "
    "bit_or bit_xor uuid "
    "now curdate date sysdate getdate extract row_count found_rows last_insert_id connection_id "
    "find_in_set interval json_extract json_keys geometrycollection polygon multipoint "
    "multipolygon linestring "
    "multilinestring st_latfromgeohash st_longfromgeohash st_pointfromgeohash gtid_subset "
    "gtid_subtract hashbytes "
    "is_srvrolemember is_member has_dbaccess object_id col_name table_name to_char to_number "
    "rawtohex translate "
    "unicode nchar stuff quotename patindex charindex typeof sqlite_version likelihood likely "
    "unlikely glob like "
    "json json_valid sqlite_compileoption_get sqlite_compileoption_used total_changes zeroblob unistr "
    "current_setting current_database exists analyse lastval strftime regexp_replace "
    "get_bit inet_aton inet_ntoa load oct ordinal user_id sqlite_source_id xmlagg xmlelement cot "
    "crc32"
)

PROSE: Final = _set(
    "the an your my our their his her its this these those that which please you we they it "
    "there here how what why "
    "about also very other such than so because could should would will can may might must was "
    "were be been being "
    "are have has had do does did most more best appropriate following"
)
"""Words of sentences that name next to nothing in a database: they make a would-be statement a sentence."""
