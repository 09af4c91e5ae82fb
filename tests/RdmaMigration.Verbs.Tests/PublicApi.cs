using System.Reflection;
using System.Text;

namespace RdmaMigration.Verbs.Tests;

/// <summary>Writes the public surface of an assembly as text: a line a type, a line a member, sorted.</summary>
internal static class PublicApi
{
    internal static string Describe(Assembly assembly)
    {
        StringBuilder text = new();
        foreach (Type type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(Kind(type)).Append(' ').Append(type.FullName).AppendLine(Bases(type));
            foreach (string member in Members(type).Order(StringComparer.Ordinal))
            {
                text.Append("    ").AppendLine(member);
            }
        }
        return text.ToString();
    }

    private static IEnumerable<string> Members(Type type)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        if (type.IsEnum)
        {
            return type.GetFields(BindingFlags.Public | BindingFlags.Static).Select(
                field => $"{field.Name} = {Convert.ToInt64(field.GetRawConstantValue(), null)}");
        }

        bool isRecord = type.GetMethod("PrintMembers", BindingFlags.NonPublic | BindingFlags.Instance) is not null;
        return type.GetConstructors(Declared).Select(constructor => $"new({Parameters(constructor)})")
            .Concat(type.GetProperties(Declared).Select(
                property => $"{Static(property.GetMethod)}{Name(property.PropertyType)} {property.Name} {{{Accessors(property)} }}"))
            .Concat(type.GetFields(Declared).Select(field => $"{Name(field.FieldType)} {field.Name}"))
            .Concat(type.GetMethods(Declared)
                .Where(method => !method.IsSpecialName && !(isRecord && method.Name is "Equals" or "GetHashCode" or "ToString" or "<Clone>$"))
                .Select(method => $"{Static(method)}{Name(method.ReturnType)} {method.Name}({Parameters(method)})"));
    }

    private static string Accessors(PropertyInfo property) =>
        (property.GetMethod is { IsPublic: true } ? " get;" : "")
        + (property.SetMethod is { IsPublic: true } set ? (set.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? " init;" : " set;") : "");

    private static string Static(MethodInfo? method) => method is { IsStatic: true } ? "static " : "";

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsValueType: true } => "struct",
        { IsInterface: true } => "interface",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static string Bases(Type type)
    {
        IEnumerable<Type> bases = type.IsEnum ? [] : type.GetInterfaces().Where(type => !type.IsGenericType);
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && parent != typeof(Enum))
        {
            bases = bases.Except(parent.GetInterfaces()).Prepend(parent);
        }

        string list = string.Join(", ", bases.Select(Name));
        return list.Length == 0 ? "" : $" : {list}";
    }

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        (parameter.IsOut ? "out " : parameter.IsIn ? "in " : "") + Name(parameter.ParameterType) + " " + parameter.Name
        + (parameter.IsOptional ? " = " + (parameter.DefaultValue ?? "null") : "")));

    private static string Name(Type type)
    {
        if (type.IsByRef)
        {
            return Name(type.GetElementType()!);
        }

        if (!type.IsGenericType)
        {
            return type.Name;
        }

        return $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
    }
}
